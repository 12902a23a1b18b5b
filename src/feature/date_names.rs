//! Names of months and weekdays in the larger languages, for [`super::date`].

use std::collections::HashMap;
use std::sync::LazyLock;

/// A language's names: January first, Monday first, lower case.
struct Names {
    language: &'static str,
    months: [&'static str; 12],
    short_months: [&'static str; 12],
    days: [&'static str; 7],
    short_days: [&'static str; 7],
}

/// What a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// 0-based index: January, Monday.
    pub(super) index: u32,
    /// Whether it is written out.
    pub(super) long: bool,
    /// Language tag; a name that several languages share is the first one's.
    pub(super) language: &'static str,
}

/// The month that a lower-case word names.
pub(super) fn month(word: &str) -> Option<Name> {
    MONTHS.get(word).copied()
}

/// The weekday that a lower-case word names.
pub(super) fn weekday(word: &str) -> Option<Name> {
    DAYS.get(word).copied()
}

static MONTHS: LazyLock<HashMap<&str, Name>> = LazyLock::new(|| index(|names| (&names.months, &names.short_months)));
static DAYS: LazyLock<HashMap<&str, Name>> = LazyLock::new(|| index(|names| (&names.days, &names.short_days)));

fn index(lists: impl Fn(&Names) -> (&[&'static str], &[&'static str])) -> HashMap<&'static str, Name> {
    let mut all = HashMap::new();
    for names in &NAMES {
        let (long, short) = lists(names);
        for (list, long) in [(long, true), (short, false)] {
            for (index, name) in (0..).zip(list) {
                all.entry(*name).or_insert(Name { index, long, language: names.language });
            }
        }
    }
    all
}

macro_rules! names {
    ($language:literal, $months:literal, $short_months:literal, $days:literal, $short_days:literal) => {
        Names {
            language: $language,
            months: words($months),
            short_months: words($short_months),
            days: words($days),
            short_days: words($short_days),
        }
    };
}

/// Splits a list at its spaces, at compile time.
const fn words<const N: usize>(list: &'static str) -> [&'static str; N] {
    let mut out = [""; N];
    let mut rest = list.as_bytes();
    let mut n = 0;
    while n < N {
        let mut end = 0;
        while end < rest.len() && rest[end] != b' ' {
            end += 1;
        }
        let (word, tail) = rest.split_at(end);
        out[n] = match std::str::from_utf8(word) {
            Ok(word) => word,
            Err(_) => panic!("split at a space, which is ASCII"),
        };
        rest = if tail.is_empty() { tail } else { tail.split_at(1).1 };
        n += 1;
    }
    out
}

#[rustfmt::skip]
static NAMES: [Names; 21] = [
    names!("en", "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "monday tuesday wednesday thursday friday saturday sunday", "mon tue wed thu fri sat sun"),
    names!("de", "januar februar märz april mai juni juli august september oktober november dezember",
        "jän feb mär apr mai jun jul aug sept okt nov dez",
        "montag dienstag mittwoch donnerstag freitag samstag sonntag", "mo di mi do fr sa so"),
    names!("fr", "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv févr mars avr mai juin juil août sept oct nov déc",
        "lundi mardi mercredi jeudi vendredi samedi dimanche", "lun mar mer jeu ven sam dim"),
    names!("es", "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sept oct nov dic",
        "lunes martes miércoles jueves viernes sábado domingo", "lun mar mié jue vie sáb dom"),
    names!("pt", "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan fev mar abr mai jun jul ago set out nov dez",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo", "seg ter qua qui sex sáb dom"),
    names!("it", "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica", "lun mar mer gio ven sab dom"),
    names!("nl", "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag", "ma di wo do vr za zo"),
    names!("sv", "januari februari mars april maj juni juli augusti september oktober november december",
        "jan feb mars apr maj juni juli aug sep okt nov dec",
        "måndag tisdag onsdag torsdag fredag lördag söndag", "mån tis ons tors fre lör sön"),
    names!("da", "januar februar marts april maj juni juli august september oktober november december",
        "jan feb mar apr maj jun jul aug sep okt nov dec",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag", "man tirs ons tors fre lør søn"),
    names!("nb", "januar februar mars april mai juni juli august september oktober november desember",
        "jan feb mars apr mai juni juli aug sep okt nov des",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag", "man tir ons tor fre lør søn"),
    names!("fi", "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
        "tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu",
        "maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai", "ma ti ke to pe la su"),
    names!("pl", "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "sty lut mar kwi maj cze lip sie wrz paź lis gru",
        "poniedziałek wtorek środa czwartek piątek sobota niedziela", "pon wt śr czw pt sob niedz"),
    names!("cs", "ledna února března dubna května června července srpna září října listopadu prosince",
        "led úno bře dub kvě čvn čvc srp zář říj lis pro",
        "pondělí úterý středa čtvrtek pátek sobota neděle", "po út st čt pá so ne"),
    names!("ru", "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "янв февр мар апр мая июн июл авг сент окт нояб дек",
        "понедельник вторник среда четверг пятница суббота воскресенье", "пн вт ср чт пт сб вс"),
    names!("uk", "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
        "січ лют бер квіт трав черв лип серп вер жовт лист груд",
        "понеділок вівторок середа четвер п’ятниця субота неділя", "пн вт ср чт пт сб нд"),
    names!("tr", "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
        "oca şub mar nis may haz tem ağu eyl eki kas ara",
        "pazartesi salı çarşamba perşembe cuma cumartesi pazar", "pzt sal çar per cum cmt paz"),
    names!("id", "januari februari maret april mei juni juli agustus september oktober november desember",
        "jan feb mar apr mei jun jul agu sep okt nov des",
        "senin selasa rabu kamis jumat sabtu minggu", "sen sel rab kam jum sab min"),
    names!("ro", "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
        "ian feb mar apr mai iun iul aug sept oct nov dec",
        "luni marți miercuri joi vineri sâmbătă duminică", "lun mar mie joi vin sâm dum"),
    names!("ja", "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        "月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日", "月 火 水 木 金 土 日"),
    names!("zh", "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "星期一 星期二 星期三 星期四 星期五 星期六 星期日", "周一 周二 周三 周四 周五 周六 周日"),
    names!("ko", "1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",
        "일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월",
        "월요일 화요일 수요일 목요일 금요일 토요일 일요일", "월 화 수 목 금 토 일"),
];

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::feature::date::{Stamp, Window, find};

    #[test]
    fn every_list_is_full() {
        for names in &NAMES {
            assert!(names.months.iter().chain(&names.short_months).chain(&names.days).all(|n| !n.is_empty()));
            assert!(names.short_days.iter().all(|n| !n.is_empty()), "{}", names.language);
        }
    }

    #[test]
    fn every_name_of_every_language_is_read_in_a_date() {
        let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let window = Window::new([first..=NaiveDate::from_ymd_opt(2026, 12, 31).unwrap()]);
        let read = |text: &str| {
            let found = find(&format!("({text})"), &window);
            let [one] = &found[..] else { panic!("{text}: {found:?}") };
            assert_eq!(one.span, 1..text.len() + 1, "{text}: {found:?}");
            one.readings[0].clone()
        };
        for names in &NAMES {
            // Chinese, Japanese and Korean write the month as a number, and signs in place of gaps.
            let signs = match names.language {
                "ja" | "zh" => Some(["年", "日"]),
                "ko" => Some(["년 ", "일"]),
                _ => None,
            };
            for index in 0..12 {
                let day = NaiveDate::from_ymd_opt(2026, u32::try_from(index).unwrap() + 1, 21).unwrap();
                let (long, short) = (names.months[index], names.short_months[index]);
                if let Some([of_year, of_day]) = signs {
                    let month = if names.language == "zh" { short } else { long };
                    let gap = if names.language == "ko" { " " } else { "" };
                    let (stamp, _) = read(&format!("2026{of_year}{month}{gap}21{of_day}"));
                    assert_eq!(stamp, Stamp::Date(day), "{} {index}", names.language);
                    continue;
                }
                for (name, code) in [(long, "%B"), (short, "%b")] {
                    let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
                    for text in [format!("21 {name} 2026"), format!("21. {}{rest} 2026", first.to_uppercase())] {
                        let (stamp, format) = read(&text);
                        assert_eq!(stamp, Stamp::Date(day), "{text}");
                        // A name that languages share is the first one's; `mai` is both long and short.
                        let known = month(name).unwrap();
                        let code = if known.long { "%B" } else { code };
                        let language = if known.language == "en" { "" } else { known.language };
                        assert!(format.contains(code) && format.contains(language), "{text}: {format}");
                    }
                }
            }
            for (index, name) in (0..).zip(&names.days) {
                let (stamp, format) = read(name);
                assert_eq!(stamp, Stamp::Weekday(index), "{name}: {format}");
            }
        }
    }

    #[test]
    fn shared_names_are_english() {
        assert_eq!(month("november"), Some(Name { index: 10, long: true, language: "en" }));
        assert_eq!(month("nov"), Some(Name { index: 10, long: false, language: "en" }));
        assert_eq!(weekday("土曜日").map(|n| (n.index, n.language)), Some((5, "ja")));
        assert_eq!(month("soon"), None);
    }
}
