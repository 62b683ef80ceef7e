// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"fmt"
	"time"
)

// visitors are the phantoms of Hospital: names as real ones come, and odd ones.
var visitors = []Patient{
	alpha, beta, gamma, delta, epsilon, zeta, eta,
	{"PHANTOM-008", "Phantom^Theta", "19391201", "M", nil},
	{"PHANTOM-009", "Phantöm-Größe^Jota", "19770808", "F", []string{"ISO_IR 100"}},
	{"PHANTOM-010", "פנטום^כף", "19880909", "M", []string{"ISO_IR 138"}},
	{"PHANTOM-011", "شبح^لامدا", "19911011", "F", []string{"ISO_IR 127"}},
	{"PHANTOM-012", "Phantom^<b>Mu</b>", "19650417", "O", nil},
	{"PHANTOM-013", "Phantom^Nu", "", "F", nil}, // born nobody knows when
	{"PHANTOM-014", "Fantôme^Xi^^Dr.", "19530523", "M", []string{"ISO_IR 100"}},
	{"PHANTOM-015", "Phantom-With-A-Rather-Long-Family-Name^Omicron", "19820614", "F", nil},
	{"PHANTOM-016", "Widmo^Pí", "20010725", "F", []string{"ISO_IR 192"}},
	{"PHANTOM-017", "Фантом^Ро", "19700226", "M", []string{"ISO_IR 192"}},
	{"PHANTOM-018", "Huanying^Qi=幻影^七", "19860930", "M", []string{"ISO_IR 192"}},
	{"PHANTOM-019", "Phantom^Sigma", "19480806", "F", nil},
	{"PHANTOM-020", "Phantom^Tau", "20190112", "M", nil},
	{"PHANTOM-021", "Phantom^Ypsilon", "19600630", "F", nil},
	{"PHANTOM-022", "Phantom^Phi", "19731111", "M", nil},
	{"PHANTOM-023", "Phantom^Chi", "19940228", "F", nil},
	{"PHANTOM-024", "Phantom^Psi", "19561019", "M", nil},
	{"PHANTOM-025", "Phantom^Omega", "19670705", "F", nil},
}

const (
	visits     = 60
	small      = 128 // rows and columns, so that many images are few bytes
	manySeries = 60
)

// Hospital returns sixty studies of 25 phantoms over the year before a day, newest first: CT, MR, CR and ultrasound,
// with and without reports. One has no date, one no description, one many series. Their UIDs are the same on any day.
func Hospital(today time.Time) []*Study {
	studies := make([]*Study, visits)
	for i := range studies {
		spec := StudySpec{
			Patient:         visitors[i*7%len(visitors)],
			Date:            today.AddDate(0, 0, -i*i/10).Format("20060102"), // most of them lately
			Time:            fmt.Sprintf("%02d%02d%02d", 7+i*5%10, i*17%60, i*23%60),
			AccessionNumber: fmt.Sprintf("DEMO-0%03d", 101+i),
		}
		spec.Description, spec.Series = examination(i)
		switch i {
		case 9:
			spec.Description = ""
		case 14:
			spec.Undated = true
		case 21:
			spec.Description, spec.Series = "MR heart, cine", nil
			for n := range manySeries {
				spec.Series = append(spec.Series, imagesOf(MR, 2, fmt.Sprintf("Short axis %d", n+1)))
			}
		}
		studies[i] = New(uint64(5000+i), spec)
	}
	return studies
}

// examination returns what the studies are by turns.
func examination(i int) (description string, series []SeriesSpec) {
	doc := SeriesSpec{Kind: Report, Description: "Report"}
	n := 10 + i*13%25 // images
	switch i % 7 {
	case 0:
		return "CT abdomen", []SeriesSpec{imagesOf(CT, n, "Axial 2 mm"), imagesOf(CT, n/2, "Coronal"), doc}
	case 1:
		return "MR head", []SeriesSpec{
			imagesOf(MR, n, "T1 axial"), imagesOf(MR, n, "T2 axial"), imagesOf(MR, n/2, "FLAIR"),
		}
	case 2:
		return "Chest", []SeriesSpec{imagesOf(Radiograph, 2, "PA and lateral")}
	case 3:
		return "Ultrasound abdomen", []SeriesSpec{
			{Kind: Ultrasound, Instances: 2, Rows: small, Columns: small, Frames: 12, Description: "Loop"}, doc,
		}
	case 4:
		return "CT chest", []SeriesSpec{imagesOf(CT, n, "Lung"), imagesOf(CT, n, "Soft tissue")}
	case 5:
		return "MR knee", []SeriesSpec{imagesOf(MR, n, "PD sagittal"), doc}
	}
	return "Hand", []SeriesSpec{imagesOf(Radiograph, 1, "PA")}
}

func imagesOf(kind Kind, n int, description string) SeriesSpec {
	return SeriesSpec{Kind: kind, Instances: n, Rows: small, Columns: small, Description: description}
}
