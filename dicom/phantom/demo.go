// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// The phantoms of DemoStudies: names in the character sets that real ones come in.
var (
	alpha = Patient{"PHANTOM-001", "Phantom^Alpha", "19500101", "F", nil}
	beta  = Patient{"PHANTOM-002", "Phäntom^Bêta", "19610202", "M", []string{"ISO_IR 100"}}
	gamma = Patient{
		"PHANTOM-003", "Gen'ei^San=幻影^三=げんえい^さん", "19720303", "O", []string{"ISO 2022 IR 6", "ISO 2022 IR 87"},
	}
	delta   = Patient{"PHANTOM-004", "Фантом^Дельта", "19830404", "M", []string{"ISO_IR 144"}}
	epsilon = Patient{
		"PHANTOM-005", "Hwanyeong^O=幻影^五=환영^오", "19940505", "F", []string{"ISO 2022 IR 6", "ISO 2022 IR 149"},
	}
	zeta = Patient{"PHANTOM-006", "Huanying^Liu=幻影^六", "20050606", "F", []string{"ISO_IR 192"}}
	eta  = Patient{"PHANTOM-007", "Φάντασμα^Ήτα", "19460707", "M", []string{"ISO_IR 126"}}
)

// DemoStudies returns twelve studies for tests, and for PACS that show something: seven phantoms, every kind of series,
// several character sets and transfer syntaxes, about 70 MB.
func DemoStudies() []*Study {
	ctSeries := func(slices int) SeriesSpec {
		return SeriesSpec{Kind: CT, Instances: slices, Description: "Axial 2 mm"}
	}
	mrSeries := func(description string, slices int) SeriesSpec {
		return SeriesSpec{Kind: MR, Instances: slices, Description: description}
	}
	doc := SeriesSpec{Kind: Report, Description: "Report"}
	implicit := SeriesSpec{
		Kind: CT, Instances: 12, Rows: 256, Columns: 256,
		Description: "Localizer", TransferSyntaxUID: dict.ImplicitVRLittleEndian,
	}
	rle := SeriesSpec{
		Kind: SecondaryCapture, Instances: 2, Description: "Screen shots", TransferSyntaxUID: dict.RLELossless,
	}
	cineLoop := SeriesSpec{Kind: Ultrasound, Instances: 2, Frames: 30, Description: "Loop"}
	specs := []StudySpec{
		{Patient: alpha, Date: "20240108", Description: "CT abdomen", Series: []SeriesSpec{ctSeries(40), doc}},
		{Patient: alpha, Date: "20240415", Description: "CT abdomen, follow-up", Series: []SeriesSpec{ctSeries(24), implicit}},
		{Patient: beta, Date: "20240219", Description: "MR Schädel", Series: []SeriesSpec{mrSeries("T1 axial", 30), mrSeries("T2 axial", 30)}},
		{Patient: beta, Date: "20240220", Description: "Ultraschall Abdomen", Series: []SeriesSpec{cineLoop, doc}},
		{Patient: gamma, Date: "20240311", Description: "MR head", Series: []SeriesSpec{mrSeries("T1 axial", 20), rle}},
		{Patient: gamma, Date: "20240312", Description: "CT head", Series: []SeriesSpec{ctSeries(16)}},
		{Patient: delta, Date: "20240501", Description: "КТ", Series: []SeriesSpec{ctSeries(12), doc}},
		{Patient: epsilon, Date: "20240506", Description: "MR knee", Series: []SeriesSpec{mrSeries("PD sagittal", 24)}},
		{Patient: epsilon, Date: "20240507", Description: "Multi-frame capture", Series: []SeriesSpec{{Kind: MultiFrame, Frames: 20, Description: "Cine"}}},
		{Patient: zeta, Date: "20240603", Description: "超声检查", Series: []SeriesSpec{cineLoop}},
		{Patient: zeta, Date: "20240604", Description: "Screen shots", Series: []SeriesSpec{rle, doc}},
		{Patient: eta, Date: "20240701", Description: "CT", Series: []SeriesSpec{ctSeries(8)}},
	}
	studies := make([]*Study, len(specs))
	for i, spec := range specs {
		spec.Time = fmt.Sprintf("%02d1500", 8+i)
		spec.AccessionNumber = fmt.Sprintf("DEMO-%04d", i+1)
		studies[i] = New(uint64(1000+i), spec)
	}
	return studies
}
