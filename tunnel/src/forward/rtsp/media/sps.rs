//! The size of pictures from the sequence parameter sets of H.264 and H.265.
//!
//! Only as much of a set is read as stands before the size, and every read may say that there is no more.

use super::Size;

/// Bytes of a set that are looked at: the size comes early, and lists of matrices before it are 400 bytes.
const SET_MAX: usize = 1024;

/// NAL units looked at in one aggregation packet.
const UNITS_MAX: usize = 16;

/// In an H.264 NAL unit or RTP payload: a parameter set alone, or aggregated with others (RFC 6184 STAP-A).
pub(super) fn in_h264(payload: &[u8]) -> Option<Size> {
    match payload.first()? & 0x1f {
        7 => h264(&mut Bits::new(&payload[1..])),
        24 => units(&payload[1..]).filter(|unit| unit[0] & 0x1f == 7).find_map(in_h264),
        _ => None,
    }
}

/// In an H.265 NAL unit or RTP payload: a parameter set alone, or aggregated with others (RFC 7798 AP).
pub(super) fn in_h265(payload: &[u8]) -> Option<Size> {
    match payload.first()? >> 1 & 0x3f {
        33 => h265(&mut Bits::new(payload.get(2..)?)),
        48 => units(payload.get(2..)?).filter(|unit| unit[0] >> 1 & 0x3f == 33).find_map(in_h265),
        _ => None,
    }
}

/// The units of an aggregation, each behind its length.
fn units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        (!unit.is_empty()).then_some(unit)
    })
    .take(UNITS_MAX)
}

/// ITU-T H.264, 7.3.2.1.1.
fn h264(bits: &mut Bits) -> Option<Size> {
    let profile = bits.take(8)?;
    bits.skip(16)?; // constraints, level
    bits.golomb()?; // seq_parameter_set_id
    let mut chroma = 1;
    let mut planes = false;
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        chroma = bits.golomb()?;
        planes = chroma == 3 && bits.flag()?;
        bits.golomb()?; // bit_depth_luma_minus8
        bits.golomb()?; // bit_depth_chroma_minus8
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.golomb()?; // log2_max_frame_num_minus4
    match bits.golomb()? {
        0 => drop(bits.golomb()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.golomb()?; // offset_for_non_ref_pic
            bits.golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.golomb().filter(|cycle| *cycle <= 255)?;
            for _ in 0..cycle {
                bits.golomb()?; // offset_for_ref_frame
            }
        }
        2 => {}
        _ => return None,
    }
    bits.golomb()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let columns = bits.golomb()?.checked_add(1)?;
    let rows = bits.golomb()?.checked_add(1)?;
    let fields = if bits.flag()? {
        1
    } else {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
        2
    };
    bits.skip(1)?; // direct_8x8_inference_flag
    let (across, down) = match (chroma, planes) {
        (1, _) => (2, 2 * fields),
        (2, _) => (2, fields),
        (_, _) => (1, fields),
    };
    let [left, right, top, bottom] = cropping(bits)?;
    let width = columns.checked_mul(16)?.checked_sub(left.checked_add(right)?.checked_mul(across)?)?;
    let height = rows.checked_mul(16 * fields)?.checked_sub(top.checked_add(bottom)?.checked_mul(down)?)?;
    Size::new(width, height)
}

fn scaling_list(bits: &mut Bits, length: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..length {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// ITU-T H.265, 7.3.2.2.1.
fn h265(bits: &mut Bits) -> Option<Size> {
    bits.skip(4)?; // sps_video_parameter_set_id
    let layers = bits.take(3)?;
    bits.skip(1)?; // sps_temporal_id_nesting_flag
    bits.skip(88 + 8)?; // general profile, general_level_idc
    if layers > 0 {
        let mut present = 0;
        for _ in 0..layers {
            present += if bits.flag()? { 88 } else { 0 };
            present += if bits.flag()? { 8 } else { 0 };
        }
        bits.skip((8 - layers) * 2)?; // reserved_zero_2bits
        bits.skip(present)?;
    }
    bits.golomb()?; // sps_seq_parameter_set_id
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    let (across, down) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = cropping(bits)?;
    Size::new(
        width.checked_sub(left.checked_add(right)?.checked_mul(across)?)?,
        height.checked_sub(top.checked_add(bottom)?.checked_mul(down)?)?,
    )
}

/// What is cut off, left, right, top, bottom. The same in both.
fn cropping(bits: &mut Bits) -> Option<[u32; 4]> {
    if !bits.flag()? {
        return Some([0; 4]);
    }
    Some([bits.golomb()?, bits.golomb()?, bits.golomb()?, bits.golomb()?])
}

/// Bits of a set, the most significant first.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Without the bytes that keep start codes out of it: the 3 of every 0, 0, 3.
    fn new(unit: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(unit.len().min(SET_MAX));
        let mut zeros = 0;
        for byte in unit.iter().take(SET_MAX) {
            if *byte == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            bytes.push(*byte);
        }
        Self { bytes, at: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let set = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(set)
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.at = self.at.checked_add(count as usize).filter(|at| *at <= self.bytes.len() * 8)?;
        Some(())
    }

    /// An unsigned Exp-Golomb number.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }

    /// A signed one.
    fn signed(&mut self) -> Option<i64> {
        let number = i64::from(self.golomb()?);
        Some(if number % 2 == 1 { (number + 1) / 2 } else { -number / 2 })
    }
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
