//! How a page is made of its template: what pages share, that every value in it is escaped, and that nothing
//! in it can run or load what is not the page's own.
//!
//! | file | what it is |
//! |---|---|
//! | `head.html` | the beginning of each page, with the page's policy |
//! | `style.css` | colours, text and tables |
//! | `tables.js` | sorting and filtering of tables |

use anyhow::{Context, Result};
use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, context, syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;

/// What templates include.
const SHARED: [(&str, &str); 3] = [
    ("head.html", include_str!("head.html")),
    ("style.css", include_str!("style.css")),
    ("tables.js", include_str!("tables.js")),
];

/// Makes a page of a template, which has `page`.
///
/// # Errors
/// A template that does not fit the page.
pub(crate) fn render(template: &str, page: &impl Serialize) -> Result<String> {
    rendered(template, page).context("cannot make the page")
}

fn rendered(template: &str, page: &impl Serialize) -> Result<String> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // Lines of the template that only say what to do leave no empty lines in the page.
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, text) in SHARED {
        templates.add_template(name, text)?;
    }
    let template = templates.template_from_named_str("page.html", template)?;
    // The page's policy lets scripts and styles be that have this word. Whoever writes a trace cannot
    // know it: it depends on every byte that he could write.
    let word = blake3::hash(&serde_json::to_vec(page)?).to_hex();
    Ok(template.render(context! { page => Serde(page), word => word.as_str() })?)
}
