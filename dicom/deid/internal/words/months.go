// SPDX-License-Identifier: AGPL-3.0-or-later

package words

import "strings"

// Months are their names, and common short forms, in English, German, French, Spanish, Italian, Dutch, Portuguese,
// Polish and the languages of Scandinavia, in small letters without accents. Of other languages a word between a day
// and a year counts as any month.
var Months = monthsOf(
	"jan january januar jaenner janner janvier janv enero ene gennaio januari janeiro stycznia",
	"feb february februar fevrier fevr fev febrero febbraio februari fevereiro lutego",
	"mar march marz maerz maer mrz mars marzo maart mrt marts marca marco",
	"apr april avril avr abril abr aprile kwietnia",
	"may mai mayo maggio mag mei maio maj maja",
	"jun june juni juin junio giugno giu junho czerwca",
	"jul july juli juillet juil julio luglio lug julho lipca",
	"aug august aout agosto ago augustus augusti sierpnia",
	"sep sept september septembre septiembre setiembre settembre set setembro wrzesnia",
	"oct okt october oktober octobre octubre ottobre ott outubro out pazdziernika",
	"nov november novembre noviembre novembro listopada",
	"dec dez december dezember decembre diciembre dic dicembre dezembro desember des grudnia", //nolint:misspell // of other languages
)

func monthsOf(names ...string) map[string]int {
	all := map[string]int{}
	for i, list := range names {
		for name := range strings.FieldsSeq(list) {
			all[name] = i + 1
		}
	}
	return all
}

// IsOtherWord reports whether the name of a month is a word or a name as well: it is a month beside a day alone.
func IsOtherWord(month string) bool {
	switch month {
	case "set", "out", "gen", "ago", "mag", "des", "maj", "maja", "marco", "julio", "mayo":
		return true
	}
	return false
}

// JoinsDate reports whether a bare word stands between the parts of a date, or behind the number of a day: 27th of
// November, 1er mars, 1º de maio.
func JoinsDate(word string) bool {
	switch word {
	case "st", "nd", "rd", "th", "of", "den", "de", "del", "di", "er", "le", "o", "º", "ª":
		return true
	}
	return false
}
