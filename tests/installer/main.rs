//! The installer as users run it: the real command on a machine with the layout of AMD's ROCm 7.0.2, with the
//! real loader, ldconfig and dpkg. Each theme has its own file.

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
mod trees;
mod upgrades;
mod using;
mod which;
