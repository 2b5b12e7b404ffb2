//! The published metrics, one file each: ours, as its authors define it, beside the variants of
//! peers who compute something else under the same name.
//!
//! A peer's variant carries its name and does what its code does, slips and exceptions
//! included; `prefab verify metrics` holds both against recorded cases and names every rule by which
//! ours departs. No function here touches a file or a model.

pub mod anls;
pub mod chair;
pub mod contraction;
pub mod crpe;
pub mod labeller;
pub mod latex;
pub mod llava_bench;
pub mod mathvision;
pub mod mathvista;
pub mod mm_vet;
pub mod mmhal;
pub mod option;
pub mod relaxed;
pub mod vqa;
pub mod yes_no;
