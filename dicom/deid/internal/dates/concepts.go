// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

// Why others know the date of a content item.
const (
	BornThen = "a birth date, which many know"
	diedThen = "a date of death, which registers have"
)

// PublicConcepts are the concepts whose dates others know, by scheme and code.
var PublicConcepts = map[[2]string]string{
	{"DCM", "121031"}:    BornThen,      // Subject Birth Date
	{"SCT", "184099003"}: BornThen,      // Date of birth
	{"LN", "21112-8"}:    BornThen,      // Birth date
	{"DCM", "122165"}:    diedThen,      // DateTime of Death
	{"SCT", "399753006"}: diedThen,      // Date of death
	{"LN", "81954-0"}:    diedThen,      // Date of death
	{"DCM", "113723"}:    dateOfMachine, // Calibration DateTime
}
