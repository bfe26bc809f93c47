//! Docker, Compose and Kubernetes: what users are given in `docker/`, built, run and read by the tools that
//! they have; `cargo docker`.

mod artifact;
mod bench;
mod compose;
mod compose_up;
mod derived;
mod examples;
mod images;
mod manifests;
mod names;
mod recipe;
mod running;
