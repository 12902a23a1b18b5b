//! Named **level sets**: `timezones:all`, `timezones:cover`, `locales:common`, `hosts:FILE`.
