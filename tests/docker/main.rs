//! Docker, Compose and Kubernetes: the files in `docker/`, built, run and parsed by the tools that users
//! have; `cargo docker`.

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
