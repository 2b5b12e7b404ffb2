//! Functions by their LaTeX commands: `\frac`, `\sqrt`, `\sin`.

use super::lex::Token;
use super::parse::Parser;

/// Largest number of things to choose from.
const MOST_CHOICES: f64 = 60.0;

/// In how many ways some of several things can be chosen.
fn binomial(of: f64, chosen: f64) -> Option<f64> {
    let is_whole = of.fract() == 0.0 && chosen.fract() == 0.0;
    let fits = is_whole && (0.0..=MOST_CHOICES).contains(&of) && (0.0..=of).contains(&chosen);
    fits.then(|| {
        (0..chosen as u32)
            .fold(1.0, |ways, at| ways * (of - f64::from(at)) / f64::from(at + 1))
            .round()
    })
}

impl Parser<'_> {
    pub(super) fn command(&mut self, name: &str) -> Option<f64> {
        match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => {
                let (above, below) = self.two_arguments()?;
                (below != 0.0).then(|| above / below)
            }
            "sqrt" => {
                let root = match self.rest {
                    [Token::Open('['), Token::Number(root, true), Token::Close(']'), rest @ ..] => {
                        self.rest = rest;
                        *root
                    }
                    _ => 2.0,
                };
                let value = self.argument()?;
                (value >= 0.0 && root > 0.0)
                    .then(|| if root == 2.0 { value.sqrt() } else { value.powf(root.recip()) })
            }
            "cbrt" => self.argument().map(f64::cbrt),
            "pi" => Some(std::f64::consts::PI),
            "ln" => self.argument().filter(|value| *value > 0.0).map(f64::ln),
            "binom" | "dbinom" | "tbinom" => {
                let (of, chosen) = (self.argument()?, self.argument()?);
                binomial(of, chosen)
            }
            "log" if self.takes(&Token::Sign('_')) => {
                let base = self.argument().filter(|base| *base > 0.0 && *base != 1.0)?;
                self.argument().filter(|value| *value > 0.0).map(|value| value.log2() / base.log2())
            }
            "log" | "lg" => self.argument().filter(|value| *value > 0.0).map(f64::log10),
            "sin" => self.angle().map(f64::sin),
            "cos" => self.angle().map(f64::cos),
            "tan" => self.angle().map(f64::tan),
            _ => None,
        }
    }

    /// Two arguments, of which `\frac12` writes both as one number.
    fn two_arguments(&mut self) -> Option<(f64, f64)> {
        if let [Token::Number(both, true), rest @ ..] = self.rest
            && (10.0..100.0).contains(both)
            && !matches!(rest, [Token::Open('{'), ..])
        {
            self.rest = rest;
            return Some(((both / 10.0).floor(), both % 10.0));
        }
        Some((self.argument()?, self.argument()?))
    }

    /// An argument in radians, or in degrees where it says so, within its brackets or behind them.
    fn angle(&mut self) -> Option<f64> {
        while let [Token::Space, rest @ ..] = self.rest {
            self.rest = rest;
        }
        if let [Token::Open(open @ ('{' | '(')), inner @ ..] = self.rest {
            let (before, close) = (self.rest, if *open == '{' { '}' } else { ')' });
            self.rest = inner;
            let value = self.nested(Self::angle);
            if value.is_some() && self.takes(&Token::Close(close)) {
                return value
                    .map(|value| if self.takes_degree() { value.to_radians() } else { value });
            }
            self.rest = before;
        }
        let value = self.argument()?;
        Some(if self.takes_degree() { value.to_radians() } else { value })
    }

    /// Takes a degree sign.
    fn takes_degree(&mut self) -> bool {
        if let [Token::Degree, rest @ ..]
        | [Token::Sign('^'), Token::Degree, rest @ ..]
        | [Token::Sign('^'), Token::Open('{'), Token::Degree, Token::Close('}'), rest @ ..] =
            self.rest
        {
            self.rest = rest;
            return true;
        }
        false
    }
}
