//! The options of `trace start` for what a trace observes around calls.

use clap::Args;
use rocblas_trace::options::Options;

/// The options, as strings that the shim parses.
#[derive(Clone, Debug, Default, Args)]
pub struct Looked {
    /// Measure the GPU time of one of NUMBER calls of each thread [default without NUMBER: 16, and at most one
    /// call in 2 ms]
    ///
    /// Two events are recorded on the call's stream and read before later calls. No events are recorded while
    /// a stream is captured into a graph.
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "on")]
    pub gpu_time: Option<String>,
    /// Record the call stack of one of NUMBER calls of each thread [default without NUMBER: 100]
    ///
    /// The walk uses unwind tables, so programs need neither frame pointers nor symbols. `summary`, `report` and
    /// `export --format folded` show the callers, named by the symbols of the files present at that time.
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "on")]
    pub stacks: Option<String>,
    /// Read HIP's last error before and after each call (on, off) [default: on]
    #[arg(long, value_name = "on|off")]
    pub errors: Option<String>,
    /// Search the outputs of calls for NaN and infinite elements (nan, inf), or record a digest of them
    /// (digest), or of inputs too (digest,inputs)
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub check: Vec<String>,
    /// Check only every Nth call of each thread
    #[arg(long, value_name = "N", requires = "check")]
    pub every: Option<String>,
    /// Check only the calls with these numbers in their thread (1000-2000)
    #[arg(long, value_name = "FROM-TO", requires = "check")]
    pub window: Option<String>,
    /// What to do when a check finds something: report, capture (save the operands of the first such call),
    /// stop
    #[arg(long, value_name = "WHAT", requires = "check")]
    pub on_bad: Option<String>,
    /// Mark each call for profilers with a rocTX range
    #[arg(long)]
    pub roctx: bool,
}

impl Looked {
    /// Applies the given options.
    ///
    /// # Errors
    /// Names the faulty option and what it expects.
    pub(super) fn set(&self, options: &mut Options) -> Result<(), String> {
        let roctx = self.roctx.then_some("on");
        let check = (!self.check.is_empty()).then(|| self.check.join(","));
        let given = [
            ("gpu-time", self.gpu_time.as_deref()),
            ("stacks", self.stacks.as_deref()),
            ("errors", self.errors.as_deref()),
            ("check", check.as_deref()),
            ("every", self.every.as_deref()),
            ("window", self.window.as_deref()),
            ("on-bad", self.on_bad.as_deref()),
            ("roctx", roctx),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                options.set(name, value).map_err(|why| format!("--{name}: {why}"))?;
            }
        }
        Ok(())
    }
}
