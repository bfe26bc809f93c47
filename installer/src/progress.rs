//! Progress bars for slow operations, on a terminal only: a log file gets permanent lines, not frames.

use crate::output::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts bytes up to a total, visibly if stderr is a terminal.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar over `total` bytes, labelled `what` ("Copying librocblas.so.4").
    #[must_use]
    pub fn bytes(what: &str, total: u64) -> Self {
        // indicatif draws nothing if its target is not a terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{msg:30!} [{bar:30}] {bytes:>10}/{total_bytes} {eta:>4}");
        bar.set_style(style.expect("a template that indicatif knows"));
        bar.set_message(printable(what).into_owned());
        Self(bar)
    }

    /// A bar over a download of `total` bytes, or of unknown size, with its rate.
    #[must_use]
    pub fn download(what: &str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => {
                "{msg:30!} [{bar:20}] {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4}"
            }
            None => "{msg:30!} {spinner} {bytes:>10} {bytes_per_sec:>12}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.expect("a template that indicatif knows"));
        bar.set_message(what.to_owned());
        Self(bar)
    }

    /// Bytes that were done before; they do not count for the rate.
    pub fn continue_at(&self, bytes: u64) {
        self.0.set_position(bytes);
        self.0.reset_eta();
    }

    /// Adds bytes.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
