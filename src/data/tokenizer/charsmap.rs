//! SentencePiece's character maps: what a normaliser puts in the place of some characters.
//!
//! A map is the size of a trie in bytes (u32), the trie, and the texts that its leaves point into,
//! each ended by a zero. The trie is a double array of u32 units: a unit holds the byte that leads
//! to it, whether a leaf hangs below it, and where its children are, by exclusive or. The
//! `tokenizers` crate follows these numbers wherever they lead; here they are checked first.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Whether every path of a map's trie stays within it.
///
/// # Errors
///
/// A map that is cut off, leads out of its trie, or points beside its texts.
pub fn check(map: &[u8]) -> Result<(), String> {
    let cut_off = || "the character map is cut off".to_owned();
    let (size, rest) = map.split_first_chunk().ok_or_else(cut_off)?;
    let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| cut_off())?;
    let (trie, texts) = rest.split_at_checked(size / 4 * 4).ok_or_else(cut_off)?;
    let units: Vec<u32> = trie.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    let texts = std::str::from_utf8(texts)
        .map_err(|error| format!("the character map's texts are not UTF-8: {error}"))?;
    let outside = || "the character map leads out of its trie".to_owned();
    // Where a unit's children are, from where it is.
    let children = |at: usize, unit: u32| at ^ ((unit as usize >> 10) << ((unit & 0x200) >> 6));
    let root = *units.first().ok_or_else(cut_off)?;
    let mut open = vec![children(0, root)];
    let mut is_seen = vec![false; units.len()];
    while let Some(base) = open.pop() {
        // Any byte of a text may be looked for here.
        if base | 0xff >= units.len() {
            return Err(outside());
        }
        for byte in 1..=0xffusize {
            let at = base ^ byte;
            let unit = units[at];
            if unit & 0x8000_00ff != byte as u32 || std::mem::replace(&mut is_seen[at], true) {
                continue;
            }
            let below = children(at, unit);
            if unit & 0x100 != 0 {
                let leaf = units.get(below).ok_or_else(outside)? & 0x7fff_ffff;
                if !texts.is_char_boundary(leaf as usize) {
                    return Err("the character map points beside its texts".to_owned());
                }
            }
            open.push(below);
        }
    }
    Ok(())
}

/// Checks every character map of a tokenizer.json.
///
/// # Errors
///
/// As [`check`].
pub fn check_all(file: &Value) -> Result<(), String> {
    match file {
        Value::Object(fields) if file["type"] == "Precompiled" => {
            let map = fields.get("precompiled_charsmap").and_then(Value::as_str);
            let map = map.and_then(|map| STANDARD.decode(map).ok());
            let map = map.ok_or("a character map is no base64")?;
            check(&map)
        }
        Value::Object(fields) => fields.values().try_for_each(check_all),
        Value::Array(list) => list.iter().try_for_each(check_all),
        _ => Ok(()),
    }
}

/// Base64 with padding, as tokenizer.json holds character maps.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie in which `a` becomes `texts` from `leaf` on.
    fn map(offset: u32, leaf: u32, texts: &[u8]) -> Vec<u8> {
        let mut units = vec![0u32; 512];
        units[0] = offset << 10; // Children of the root: 256 ^ byte.
        units[256 ^ 97] = 97 | 0x100 | 1 << 10; // The leaf: one place beside.
        units[256 ^ 97 ^ 1] = 0x8000_0000 | leaf;
        let trie = units.iter().flat_map(|unit| unit.to_le_bytes());
        2048u32.to_le_bytes().into_iter().chain(trie).chain(texts.iter().copied()).collect()
    }

    #[test]
    fn a_map_that_stays_within_itself_passes() {
        let map = map(256, 2, b"b\0c\0");
        check(&map).unwrap();
        let file = serde_json::json!({"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": to_base64(&map)},
        ]}});
        check_all(&file).unwrap();
    }

    #[test]
    fn a_map_that_leads_elsewhere_is_refused() {
        let good = map(256, 2, b"b\0c\0");
        assert!(check(&good[..100]).unwrap_err().contains("cut off"));
        assert!(check(&[]).unwrap_err().contains("cut off"));
        assert!(check(&map(700, 2, b"b\0c\0")).unwrap_err().contains("out of its trie"));
        assert!(check(&map(256, 9, b"b\0c\0")).unwrap_err().contains("beside its texts"));
        assert!(check(&map(256, 1, "é\0".as_bytes())).unwrap_err().contains("beside its texts"));
        assert!(check(&map(256, 0, b"\xff\0")).unwrap_err().contains("UTF-8"));
        let file = serde_json::json!([{"type": "Precompiled", "precompiled_charsmap": "*"}]);
        assert!(check_all(&file).unwrap_err().contains("base64"));
    }
}
