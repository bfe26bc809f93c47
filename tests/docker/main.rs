//! Docker, Compose and Kubernetes: what users are given in `docker/`, read by the tools that they
//! have.

mod bench;
mod compose;
mod compose_up;
mod manifests;
