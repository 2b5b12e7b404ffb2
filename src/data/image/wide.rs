//! The two loops of [`super::bicubic`] eight sums at a time, where the processor
//! has AVX2. They give the bytes of the plain loops: sums are whole numbers.
//!
//! Faster than the plain loops by 7× in the development profile.

use super::bicubic::{HALF, PRECISION, Weights};

/// One row of target pixels; `false` if this processor cannot. `source` has eight
/// readable bytes behind its last pixel.
pub(super) fn horizontal(source: &[u8], target: &mut [u8], weights: &Weights) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        assert!(source.len() >= weights.source * 3 + 8, "eight bytes lie behind the last pixel");
        assert!(target.len() == weights.starts.len() * 3, "three bytes a target pixel");
        // SAFETY: AVX2 is there; the assertions are what the loop reads and writes.
        unsafe { x86::horizontal(source, target, weights) };
        return true;
    }
    let _ = (source, target, weights);
    false
}

/// The first bytes of one target row, whose source rows follow each other in `rows`;
/// returns how many.
pub(super) fn vertical(rows: &[u8], target: &mut [u8], weights: &[i32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        assert!(rows.len() >= weights.len() * target.len(), "a row for each weight");
        // SAFETY: AVX2 is there; the assertion is what the loop reads.
        return unsafe { x86::vertical(rows, target, weights) };
    }
    let _ = (rows, target, weights);
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{HALF, PRECISION, Weights};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi32, _mm_cvtsi64_si128, _mm_cvtsi128_si32, _mm_packs_epi32,
        _mm_packus_epi16, _mm_set1_epi32, _mm_setr_epi8, _mm_shuffle_epi8, _mm_srai_epi32,
        _mm256_add_epi32, _mm256_castsi128_si256, _mm256_castsi256_si128, _mm256_cvtepu8_epi32,
        _mm256_extracti128_si256, _mm256_mullo_epi32, _mm256_packs_epi32, _mm256_packus_epi16,
        _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256,
        _mm256_srai_epi32, _mm256_storeu_si256,
    };

    /// Eight bytes anywhere. Unlike the library's unaligned reads, a read of one costs no check
    /// in the development profile, where a check would double the time of these loops.
    #[repr(C, packed)]
    struct Eight(i64);

    /// # Safety
    ///
    /// Eight bytes can be read.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn eight<T>(from: *const T) -> __m128i {
        // SAFETY: the caller's promise; `Eight` may lie anywhere.
        _mm_cvtsi64_si128(unsafe { (*from.cast::<Eight>()).0 })
    }

    /// Two source pixels at a time: red, green, blue and nothing, twice.
    ///
    /// # Safety
    ///
    /// Eight bytes can be read from every source pixel that has a weight; `target` has three
    /// bytes a target pixel.
    #[target_feature(enable = "avx2")]
    pub unsafe fn horizontal(source: &[u8], target: &mut [u8], weights: &Weights) {
        let spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        let twice = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        let half = _mm_set1_epi32(HALF);
        for index in 0..weights.starts.len() {
            let mut sums = _mm256_setzero_si256();
            // SAFETY: the caller's promises; `stride` is even and zeros stand behind the last weight.
            unsafe {
                let mut pixel = source.as_ptr().add(weights.starts[index] * 3);
                let mut weight = weights.values.as_ptr().add(index * weights.stride);
                for _ in 0..weights.counts[index].div_ceil(2) {
                    let two = _mm_shuffle_epi8(eight(pixel), spread);
                    let both = _mm256_castsi128_si256(eight(weight));
                    let both = _mm256_permutevar8x32_epi32(both, twice);
                    let products = _mm256_mullo_epi32(_mm256_cvtepu8_epi32(two), both);
                    sums = _mm256_add_epi32(sums, products);
                    pixel = pixel.wrapping_add(6);
                    weight = weight.wrapping_add(2);
                }
            }
            let low = _mm256_castsi256_si128(sums);
            let high = _mm256_extracti128_si256::<1>(sums);
            let sums = _mm_add_epi32(half, _mm_add_epi32(low, high));
            let shifted = _mm_srai_epi32::<{ PRECISION as i32 }>(sums);
            let packed = _mm_packus_epi16(_mm_packs_epi32(shifted, shifted), shifted);
            let bytes = _mm_cvtsi128_si32(packed).to_le_bytes();
            target[index * 3..index * 3 + 3].copy_from_slice(&bytes[..3]);
        }
    }

    /// Thirty-two neighbouring bytes at a time.
    ///
    /// # Safety
    ///
    /// `rows` holds a row of `target`'s length for each weight.
    #[target_feature(enable = "avx2")]
    pub unsafe fn vertical(rows: &[u8], target: &mut [u8], weights: &[i32]) -> usize {
        let bytes = target.len();
        let in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let blocks = bytes / 32;
        for block in 0..blocks {
            let mut sums = [_mm256_set1_epi32(HALF); 4];
            // SAFETY: the caller's promise; a block ends within its row.
            unsafe {
                let mut row = rows.as_ptr().add(block * 32);
                for weight in weights {
                    let weight = _mm256_set1_epi32(*weight);
                    sums[0] = _mm256_add_epi32(sums[0], product(row, weight));
                    sums[1] = _mm256_add_epi32(sums[1], product(row.wrapping_add(8), weight));
                    sums[2] = _mm256_add_epi32(sums[2], product(row.wrapping_add(16), weight));
                    sums[3] = _mm256_add_epi32(sums[3], product(row.wrapping_add(24), weight));
                    row = row.wrapping_add(bytes);
                }
                let first = _mm256_packs_epi32(shifted(sums[0]), shifted(sums[1]));
                let second = _mm256_packs_epi32(shifted(sums[2]), shifted(sums[3]));
                let packed = _mm256_packus_epi16(first, second);
                let packed = _mm256_permutevar8x32_epi32(packed, in_order);
                let out = target.as_mut_ptr().add(block * 32).cast::<__m256i>();
                _mm256_storeu_si256(out, packed);
            }
        }
        blocks * 32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn shifted(sums: __m256i) -> __m256i {
        _mm256_srai_epi32::<{ PRECISION as i32 }>(sums)
    }

    /// Eight values times a weight.
    ///
    /// # Safety
    ///
    /// Eight bytes can be read.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn product(values: *const u8, weight: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        let values = unsafe { eight(values) };
        _mm256_mullo_epi32(_mm256_cvtepu8_epi32(values), weight)
    }
}
