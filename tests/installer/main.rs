//! The installer as its users meet it: the real command on a laid-out machine with AMD's ROCm 7.0.2,
//! the real loader, ldconfig and dpkg. What is in a theme's file is what that theme is about.

mod applying;
mod backends;
mod checking;
mod collecting;
mod consistency;
mod crashes;
mod doctor;
mod fetching;
mod gpus;
mod hostile;
mod json;
mod layouts;
mod locking;
mod machine;
mod manual;
mod newer;
mod objects;
mod patched;
mod power_cut;
mod printing;
mod questions;
mod readers;
mod recovery;
mod refusals;
mod running;
mod selftest;
mod slim;
mod slim_trees;
mod split;
mod upgrades;
mod using;
mod which;
