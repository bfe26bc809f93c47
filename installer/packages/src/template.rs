//! Texts with names to be filled in.

use anyhow::{Context, Result};
use minijinja::{Environment, UndefinedBehavior, Value};

/// Fills a text in; a name without a value is an error.
pub(crate) fn fill(text: &str, values: Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let filled = environment.render_str(text, values).context("cannot fill in a template")?;
    // The last end of a line is not kept.
    Ok(filled + "\n")
}
