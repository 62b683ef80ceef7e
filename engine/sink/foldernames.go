// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/text"
)

// NamesOf returns those of an object.
func NamesOf(h *stream.Header) ObjectNames {
	return ObjectNames{
		PatientID: h.Text(dict.PatientID), Study: h.Text(dict.StudyInstanceUID),
		StudyDate: h.Text(dict.StudyDate), StudyTime: h.Text(dict.StudyTime),
		StudyDescription:  h.Text(dict.StudyDescription),
		SeriesNumber:      h.Text(dict.SeriesNumber),
		SeriesDescription: h.Text(dict.SeriesDescription), Series: h.Text(dict.SeriesInstanceUID),
	}
}

// Folders returns the path of a study's folder, below that of its patient, and the name of a series' folder in it.
// modalities: of the study. foldsCase: names that differ in case alone would be the same.
func Folders(n ObjectNames, modalities []string, foldsCase bool) (study, series string) {
	return path.Join(patientFolder(n.PatientID, foldsCase), studyFolder(n, modalities)), seriesFolder(n)
}

// jobFolder names a job's folder: adit_<kind>_<job id>_<created YYYYMMDD>_<username>.
func jobFolder(j jobs.Job) string {
	return safeName(fmt.Sprintf("adit_%s_%d_%s_%s", j.Kind, j.ID, j.CreatedAt.Format("20060102"), j.Owner))
}

// patientFolder names a patient's folder. Where a file system takes ABC and abc for the same name, what is not in
// capitals gets a hash.
func patientFolder(id string, foldsCase bool) string {
	if strings.EqualFold(id, undefined) || foldsCase && strings.ToUpper(id) != id {
		return hashed(id, sanitized(id))
	}
	return safeName(id)
}

// studyFolder names a study's folder: <StudyDate>-<StudyTime>-<modalities>.
func studyFolder(n ObjectNames, modalities []string) string {
	modalities = slices.Sorted(slices.Values(modalities))
	clock, _, _ := strings.Cut(n.StudyTime, ".")
	return safeName(fmt.Sprintf("%s-%s-%s", n.StudyDate, clock, strings.Join(slices.Compact(modalities), ",")))
}

// seriesFolder names a series' folder: <SeriesNumber>-<SeriesDescription>, or the Series Instance UID without a number.
func seriesFolder(n ObjectNames) string {
	if n.SeriesNumber == "" {
		return safeName(n.Series)
	}
	description := n.SeriesDescription
	if description == "" {
		description = undefined
	}
	return safeName(n.SeriesNumber + "-" + description)
}

// partitionFolder names the folder of a partition: by its days; beside pseudonymized data by the day or week of the
// date that was sent, since the days are those of the patients.
func partitionFolder(n ObjectNames, days jobs.Days, pseudonymized bool) string {
	if pseudonymized {
		weekly := days.First != days.Last
		days = jobs.Days{First: n.StudyDate, Last: n.StudyDate}
		if day, err := time.Parse("20060102", n.StudyDate); err == nil && weekly {
			monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
			days = jobs.Days{First: monday.Format("20060102"), Last: monday.AddDate(0, 0, 6).Format("20060102")}
		}
	}
	return safeName(days.Name())
}

// massStudyFolder names a study's folder of a mass transfer: <StudyDescription>_<StudyDate>_<StudyTime>.
func massStudyFolder(n ObjectNames) string {
	clock, _, _ := strings.Cut(n.StudyTime, ".")
	return safeName(fmt.Sprintf("%s_%s_%s", cmp.Or(n.StudyDescription, undefined), n.StudyDate, clock))
}

// massSeriesFolder names a series' folder of a mass transfer: <SeriesDescription>_<SeriesNumber>, or the Series
// Instance UID without a number.
func massSeriesFolder(n ObjectNames) string {
	return safeName(cmp.Or(n.SeriesDescription, undefined) + "_" + cmp.Or(n.SeriesNumber, n.Series))
}

const (
	maxName   = 120 // bytes; file systems allow 255, others less
	hashBytes = 4
	undefined = "Undefined" // what has no name
)

// safeName makes a value fit to be one name in any file system: no separators, nothing that climbs, nothing reserved.
// What had to be changed for that, or is too long, ends in a hash of the value, so that no two values get the same
// name; and so does what looks as if it had one.
func safeName(value string) string {
	if value == "" {
		return undefined
	}
	name := sanitized(value)
	if name == value && len(name) <= maxName && !looksHashed(name) {
		return name
	}
	return hashed(value, name)
}

// sanitized replaces in a value what can't stand in a name.
func sanitized(value string) string {
	name := strings.Map(func(r rune) rune {
		if text.Hidden(r) || r == utf8.RuneError || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, norm.NFC.String(value))
	if name = trimmed(name); name == "" {
		return undefined
	}
	if stem, _, _ := strings.Cut(name, "."); slices.Contains(
		reservedNames, strings.ToUpper(strings.TrimRight(stem, " ")),
	) {
		return "_" + name
	}
	return name
}

// trimmed is a name without blanks at its ends, and dots at its end.
func trimmed(name string) string { return strings.TrimRight(strings.TrimSpace(name), ". ") }

// hashed puts a hash of a value behind its name, cut as far as it is too long.
func hashed(value, name string) string {
	hash := fmt.Sprintf("~%x", sha256.Sum256([]byte(value)))[:1+2*hashBytes]
	if cut := maxName - len(hash); len(name) > cut {
		for !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut]
	}
	return name + hash
}

func looksHashed(name string) bool {
	n := len(name) - 2*hashBytes
	return n > 0 && name[n-1] == '~' && strings.Trim(name[n:], "0123456789abcdefABCDEF") == ""
}

// reservedNames can't be file names on Windows, from where such folders are read.
var reservedNames = []string{
	"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM1", "COM2", "COM3",
	"COM4", "COM5", "COM6", "COM7", "COM8", "COM9", "COM¹", "COM²", "COM³",
	"LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9", "LPT¹", "LPT²", "LPT³",
}
