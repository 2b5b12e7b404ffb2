//! Which devices there are, and the opening of libtorch's CUDA half.
//!
//! The cards are counted through the driver (`libcuda.so.1`), which neither
//! makes a context nor asks libtorch: libtorch believes for ever that there is
//! no CUDA if it is asked before its CUDA half is loaded.

use crate::error::{Error, Result};
use crate::kernel::{FOR_CARDS, exact::exact};
use crate::plan::Machine;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::str::FromStr;

/// The libtorch that tch is made for.
const LIBTORCH: &str = "2.11.0";

/// The processor's label.
const CPU: &str = "cpu";

/// What `--device` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// The processor.
    Cpu,
    /// One card by number, or all of them.
    Cuda(Option<usize>),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(None)),
            Some(("cuda", number)) => number
                .parse()
                .map(|number| Self::Cuda(Some(number)))
                .map_err(|_| format!("`{number}` is not the number of a card")),
            _ => Err("must be `cpu`, `cuda` or `cuda:N`".into()),
        }
    }
}

/// A CUDA card.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Card {
    /// Its number.
    pub index: usize,
    /// Its name: `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Its compute capability: `9.0`.
    pub capability: String,
}

/// The devices that a run's workers share out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Devices {
    /// One worker after the other takes the next.
    pub list: Vec<tch::Device>,
    /// What can change bits: `cpu`, or `cuda-9.0`. Part of the keys.
    pub label: String,
}

impl Devices {
    /// The devices that were asked for; by default all cards, else the processor.
    ///
    /// # Errors
    ///
    /// If a card is asked for that is not there.
    pub fn resolve(choice: Option<Choice>) -> Result<Self> {
        let wanted = match choice {
            Some(Choice::Cpu) => return Ok(Self::cpu()),
            Some(Choice::Cuda(number)) => number,
            None => None,
        };
        let cards = cards();
        let chosen: Vec<_> =
            cards.iter().filter(|card| wanted.is_none_or(|number| card.index == number)).collect();
        match chosen.first() {
            Some(first) => {
                // One label for all: cards of another kind would give other bits.
                let alike = chosen.iter().filter(|card| card.capability == first.capability);
                Ok(Self {
                    list: alike.map(|card| tch::Device::Cuda(card.index)).collect(),
                    label: format!("cuda-{}", first.capability),
                })
            }
            None if choice.is_none() => Ok(Self::cpu()),
            None => {
                Err(Error::spec("there is no such CUDA card, or libtorch's CUDA half is missing")
                    .hint("`prefab doctor` lists the devices; `--device cpu` needs none"))
            }
        }
    }

    /// What enters the keys of stages that compute tensors. The suffix of libtorch's version
    /// (`+cpu`) stays out: it says only how it was packed.
    pub fn machine(&self) -> Machine {
        let version = libtorch_version();
        let libtorch = version.split('+').next().unwrap_or(&version).to_owned();
        let kernels = match vector_units() {
            _ if self.label != CPU => if FOR_CARDS { "fused CUDA" } else { "plain" }.into(),
            "AVX-512" => "fused".into(),
            // Other vector units sum in another order.
            other => format!("fused, {other}"),
        };
        Machine { device: self.label.clone(), libtorch, kernels }
    }

    /// The processor alone.
    pub fn cpu() -> Self {
        Self { list: vec![tch::Device::Cpu], label: CPU.into() }
    }
}

/// The device of one process, its libraries loaded.
///
/// # Errors
///
/// If libtorch's CUDA half is wanted and not there, or the card is not.
pub fn open(choice: Choice) -> Result<tch::Device> {
    match choice {
        Choice::Cpu => Ok(tch::Device::Cpu),
        Choice::Cuda(number) => {
            // Before anything asks libtorch about CUDA.
            open_cuda()?;
            card(number.unwrap_or(0), &cards()).map(tch::Device::Cuda)
        }
    }
}

/// The number of a card that is there: libtorch itself would end the process.
fn card(number: usize, cards: &[Card]) -> Result<usize> {
    if cards.iter().any(|card| card.index == number) {
        return Ok(number);
    }
    let there = match cards.len() {
        0 => "the driver finds none".to_owned(),
        1 => "the only one is cuda:0".to_owned(),
        count => format!("there are cuda:0 to cuda:{}", count - 1),
    };
    Err(Error::spec(format!("there is no CUDA card {number}: {there}"))
        .hint("`prefab doctor` lists the devices; `--device cpu` needs none"))
}

/// A device as `--device` writes it.
pub fn name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}

/// The vector units that the kernels of this processor use, as `rows/attention.cpp` chooses them.
pub fn vector_units() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        let has_512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if has_512 {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "AVX2";
        }
    }
    "baseline"
}

/// The folder of the libtorch that this process is linked to.
pub fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = &line[line.find('/')?..];
    Some(PathBuf::from(path).parent()?.to_owned())
}

/// libtorch's version, as its `build-version` file says.
pub fn libtorch_version() -> String {
    libtorch_folder()
        .and_then(|folder| std::fs::read_to_string(folder.join("../build-version")).ok())
        .map_or_else(|| LIBTORCH.into(), |text| text.trim().to_owned())
}

/// Loads libtorch's CUDA half. To be called first thing in `main`, before
/// anything asks libtorch whether there is CUDA.
///
/// # Errors
///
/// If it is not beside the CPU half, or the loader refuses it.
pub fn open_cuda() -> Result<()> {
    let folder = libtorch_folder().ok_or_else(|| Error::new("libtorch is not loaded"))?;
    let path = folder.join("libtorch_cuda.so");
    open_library(&path.to_string_lossy(), libc::RTLD_GLOBAL).map_err(|reason| {
        Error::new(format!("opening libtorch's CUDA half: {reason}"))
            .hint("`./just cuda` fetches it; `--device cpu` does without")
    })?;
    exact();
    Ok(())
}

/// The cards that libtorch could use: none where its CUDA half is missing.
pub fn cards() -> Vec<Card> {
    let cuda_half = libtorch_folder().is_some_and(|lib| lib.join("libtorch_cuda.so").exists());
    if cuda_half { ask_driver().unwrap_or_default() } else { Vec::new() }
}

type Handle = *mut c_void;

fn open_library(name: &str, flags: c_int) -> Result<Handle, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: a C string in, a handle or null out; the error text is copied at once.
    unsafe {
        let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | flags);
        if !handle.is_null() {
            return Ok(handle);
        }
        let text = libc::dlerror();
        Err(if text.is_null() { "no reason given".into() } else { text_at(text) })
    }
}

/// # Safety
///
/// `text` must be a C string.
unsafe fn text_at(text: *const c_char) -> String {
    // SAFETY: by this function's own contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Names and capabilities through the driver's C interface, which is stable.
fn ask_driver() -> Option<Vec<Card>> {
    const MAJOR: c_int = 75;
    const MINOR: c_int = 76;
    let driver = open_library("libcuda.so.1", 0).ok()?;
    // SAFETY: the signatures are those of cuda.h; every result is checked, and every
    // buffer is as long as the call is told.
    unsafe {
        let init: extern "C" fn(u32) -> c_int = symbol(driver, c"cuInit")?;
        let count: extern "C" fn(*mut c_int) -> c_int = symbol(driver, c"cuDeviceGetCount")?;
        let get: extern "C" fn(*mut c_int, c_int) -> c_int = symbol(driver, c"cuDeviceGet")?;
        let name: extern "C" fn(*mut c_char, c_int, c_int) -> c_int =
            symbol(driver, c"cuDeviceGetName")?;
        let attribute: extern "C" fn(*mut c_int, c_int, c_int) -> c_int =
            symbol(driver, c"cuDeviceGetAttribute")?;
        let mut number = 0;
        if init(0) != 0 || count(&mut number) != 0 {
            return None;
        }
        let card = |index: c_int| {
            let (mut device, mut major, mut minor) = (0, 0, 0);
            let mut text = [0 as c_char; 256];
            let failed = get(&mut device, index) != 0
                || name(text.as_mut_ptr(), 255, device) != 0
                || attribute(&mut major, MAJOR, device) != 0
                || attribute(&mut minor, MINOR, device) != 0;
            (!failed).then(|| Card {
                index: index as usize,
                name: text_at(text.as_ptr()),
                capability: format!("{major}.{minor}"),
            })
        };
        (0..number).map(card).collect()
    }
}

/// # Safety
///
/// `F` must be the C function pointer type of the symbol.
unsafe fn symbol<F>(library: Handle, name: &CStr) -> Option<F> {
    // SAFETY: a live handle and a C string in, an address or null out.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    // SAFETY: by this function's own contract; a function pointer is as wide as a data pointer.
    (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_is_refused_by_its_number() {
        let one = Card { index: 0, name: "a card".into(), capability: "9.0".into() };
        assert_eq!(card(0, std::slice::from_ref(&one)).unwrap(), 0);
        let said = |number, cards: &[Card]| card(number, cards).unwrap_err().to_string();
        assert_eq!(said(0, &[]), "there is no CUDA card 0: the driver finds none");
        assert_eq!(said(3, &[one]), "there is no CUDA card 3: the only one is cuda:0");
    }
}
