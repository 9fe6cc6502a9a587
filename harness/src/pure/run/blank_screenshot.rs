//! Screenshots: whether one is blank, and how it becomes small enough for a report.

use std::collections::HashMap;

/// The distance from the background, per channel, up to which a pixel counts as background: a gradient is not content.
const TOLERANCE: u8 = 12;
/// The least share of pixels with content, in millionths: about one line of small text in a window of 1280×800.
const LEAST_CONTENT: u64 = 100;
/// The largest width and height of a spinner, in percent of the picture.
const SPINNER_SIZE: u32 = 15;

/// The pixels of a picture, without transparency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its pixels line by line: red, green, blue.
    pub pixels: Vec<[u8; 3]>,
}

/// The content of a picture of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing but background.
    Blank,
    /// One small mark in the middle, as on a page that still loads.
    Spinner,
    /// A page.
    Page,
}

/// Why a picture cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a picture that can be used: {message}")]
pub struct BadPicture {
    message: String,
}

impl BadPicture {
    fn because(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string() }
    }
}

impl Picture {
    /// Reads a PNG.
    ///
    /// # Errors
    /// When the file is not a PNG.
    pub fn read(file: &[u8]) -> Result<Self, BadPicture> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(BadPicture::because)?;
        let size = reader.output_buffer_size().ok_or_else(|| BadPicture::because("it is too large"))?;
        let mut raw = vec![0; size];
        let info = reader.next_frame(&mut raw).map_err(BadPicture::because)?;
        let raw = &raw[..info.buffer_size()];
        let pixels = match info.color_type {
            png::ColorType::Rgb => raw.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
            png::ColorType::Rgba => raw.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
            png::ColorType::Grayscale => raw.iter().map(|grey| [*grey; 3]).collect(),
            png::ColorType::GrayscaleAlpha => raw.chunks_exact(2).map(|pixel| [pixel[0]; 3]).collect(),
            png::ColorType::Indexed => return Err(BadPicture::because("its palette was not resolved")),
        };
        Ok(Self { width: info.width, height: info.height, pixels })
    }

    /// Writes it as a PNG.
    ///
    /// # Errors
    /// When it has no pixels, or not as many as its size says.
    pub fn written(&self) -> Result<Vec<u8>, BadPicture> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().map_err(BadPicture::because)?;
        writer.write_image_data(self.pixels.as_flattened()).map_err(BadPicture::because)?;
        writer.finish().map_err(BadPicture::because)?;
        Ok(file)
    }

    /// The content of the picture.
    pub fn content(&self) -> Content {
        let Some(background) = self.background() else { return Content::Blank };
        let mut content = 0_u64;
        let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
        for (x, y, pixel) in self.placed() {
            if *pixel == background || pixel.iter().zip(background).all(|(is, was)| is.abs_diff(was) <= TOLERANCE) {
                continue;
            }
            content += 1;
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        if content * 1_000_000 < LEAST_CONTENT * self.pixels.len() as u64 {
            return Content::Blank;
        }
        let small = |from: u32, to: u32, whole: u32| (to - from + 1) * 100 <= whole * SPINNER_SIZE;
        let central = |from: u32, to: u32, whole: u32| {
            let middle = (u64::from(from) + u64::from(to)) * 3 / 2;
            (u64::from(whole)..=2 * u64::from(whole)).contains(&middle)
        };
        let across = small(left, right, self.width) && central(left, right, self.width);
        let down = small(top, bottom, self.height) && central(top, bottom, self.height);
        if across && down { Content::Spinner } else { Content::Page }
    }

    /// Whether the picture shows a loaded page. `still` says that the picture before it was the same: a small mark in the middle
    /// may be the whole page, and then it does not change.
    pub fn shows_a_page(&self, still: bool) -> bool {
        match self.content() {
            Content::Blank => false,
            Content::Spinner => still,
            Content::Page => true,
        }
    }

    /// The same picture at half its width and height.
    pub fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let at = |x: u32, y: u32| {
            let place = u64::from(y.min(self.height - 1)) * u64::from(self.width) + u64::from(x.min(self.width - 1));
            usize::try_from(place).ok().and_then(|place| self.pixels.get(place)).copied().unwrap_or_default()
        };
        let mean = |x: u32, y: u32| {
            let four = [at(2 * x, 2 * y), at(2 * x + 1, 2 * y), at(2 * x, 2 * y + 1), at(2 * x + 1, 2 * y + 1)];
            [0, 1, 2].map(|channel| {
                u8::try_from(four.iter().map(|pixel| u16::from(pixel[channel])).sum::<u16>() / 4).unwrap_or(u8::MAX)
            })
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| mean(x, y)).collect();
        Self { width, height, pixels }
    }

    /// The most frequent colour; absent without pixels.
    fn background(&self) -> Option<[u8; 3]> {
        let mut times: HashMap<[u8; 3], usize> = HashMap::new();
        // Neighbours are mostly equal, and counting a group of them at once is much faster.
        for alike in self.pixels.chunk_by(|one, next| one == next) {
            *times.entry(alike[0]).or_default() += alike.len();
        }
        times.into_iter().max_by_key(|(pixel, times)| (*times, *pixel)).map(|(pixel, _)| pixel)
    }

    fn placed(&self) -> impl Iterator<Item = (u32, u32, &[u8; 3])> {
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        places.zip(&self.pixels).map(|((x, y), pixel)| (x, y, pixel))
    }
}

/// The PNG, halved in width and height until it has at most `most` bytes.
///
/// # Errors
/// When it is too large and cannot be read.
pub fn fitting(file: Vec<u8>, most: usize) -> Result<Vec<u8>, BadPicture> {
    let mut file = file;
    while file.len() > most {
        let picture = Picture::read(&file)?;
        if picture.width < 2 || picture.height < 2 {
            return Err(BadPicture::because("it does not become small enough"));
        }
        file = picture.halved().written()?;
    }
    Ok(file)
}
