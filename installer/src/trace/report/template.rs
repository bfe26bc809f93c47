//! Renders a page from its template, with the parts that pages share. Every value is escaped, characters that
//! a terminal or a browser would not show are made visible, and nothing in the page can run or load anything
//! from outside it.
//!
//! | file | what it is |
//! |---|---|
//! | `head.html` | the beginning of each page, with the page's policy |
//! | `style.css` | colours, text and tables |
//! | `tables.js` | sorting and filtering of tables |
//! | `time_line.js`, `time_line_input.js` | the time line of a trace's page |

use crate::output::printable;
use anyhow::{Context, Result};
use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, Value, context, escape_formatter,
    syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;

/// The files that templates may include.
const SHARED: [(&str, &str); 5] = [
    ("head.html", include_str!("head.html")),
    ("style.css", include_str!("style.css")),
    ("tables.js", include_str!("tables.js")),
    ("time_line.js", include_str!("time_line.js")),
    ("time_line_input.js", include_str!("time_line_input.js")),
];

/// Renders a template, which refers to the data as `page`.
///
/// # Errors
/// Fails if the template does not match the page.
pub(crate) fn render(template: &str, page: &impl Serialize) -> Result<String> {
    rendered(template, page).context("cannot make the page")
}

fn rendered(template: &str, page: &impl Serialize) -> Result<String> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // Safe values are the page's own markup.
    templates.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => {
            escape_formatter(out, state, &Value::from(printable(text).as_ref()))
        }
        _ => escape_formatter(out, state, value),
    });
    // Lines with only template statements leave no empty lines in the page.
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, text) in SHARED {
        templates.add_template(name, text)?;
    }
    let template = templates.template_from_named_str("page.html", template)?;
    // The page's policy allows scripts and styles with this nonce. The author of a trace cannot know it,
    // since it depends on every byte under their control.
    let word = blake3::hash(&serde_json::to_vec(page)?).to_hex();
    Ok(template.render(context! { page => Serde(page), word => word.as_str() })?)
}
