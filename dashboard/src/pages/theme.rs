//! Dark, light, or as the system says: chosen by a form and kept in a cookie, so that pages come in their theme at once.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use maud::{Markup, html};
use queue_core::model::Error;

use crate::view::form;
use crate::visit::{Shown, Visit};

const COOKIE: &str = "longshore-theme";

/// How pages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system says.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// As the cookie says.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == COOKIE).filter_map(|(_, value)| Self::parse(value));
        ours.next().unwrap_or_default()
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.word() == word)
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// For the browser's own parts.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Auto => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The three buttons.
pub(crate) fn switch(visit: &Visit) -> Markup {
    let now = Theme::of(&visit.headers);
    html! {
        form.theme method="post" action=(visit.app.url("/theme")) aria-label="Theme" data-test-form="theme" {
            (form::back_to(&visit.here()))
            @for (theme, icon) in Theme::ALL.into_iter().zip(["◐", "☀", "☾"]) {
                button name="theme" value=(theme.word()) title=(format!("theme: {}", theme.word()))
                    aria-label=(theme.word()) aria-pressed=(now == theme)
                    data-test-button=(format!("theme-{}", theme.word())) { (icon) }
            }
        }
    }
}

pub(crate) async fn choose(visit: &Visit) -> Result<Shown, Error> {
    let given = visit.form.get("theme").unwrap_or_default();
    let theme = Theme::parse(given).ok_or_else(|| Error::bad_arg("theme", given, "auto, light or dark"))?;
    let path = if visit.app.base.is_empty() { "/" } else { &visit.app.base };
    let cookie = format!("{COOKIE}={}; Path={path}; Max-Age=31536000; SameSite=Lax; HttpOnly", theme.word());
    let location = visit.app.url(visit.from().unwrap_or("/"));
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, location)];
    Ok(Shown::Other((StatusCode::SEE_OTHER, headers).into_response()))
}
