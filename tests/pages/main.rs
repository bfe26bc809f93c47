//! The pages of the project: links point to something, tests that are named exist, tables list what the
//! program has, generated pages are up to date, and the English is that of CONTRIBUTING.md.

mod generated;
mod links;
mod markdown;
mod named_tests;
mod tables;
mod words;
