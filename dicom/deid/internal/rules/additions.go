// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/table"
)

// additionRule decides an addition as a row of the table is decided, under either base.
func (p *Profile) additionRule(a *table.Addition) Rule {
	d := p.basicRule(&a.Row)
	if p.Base == AditBase {
		d = AditRule(&a.Row)
	}
	d.Why = strings.Replace(d.Why, "Table E.1-1", "added to Table E.1-1", 1) + ". " + table.AdditionReasons[a.Reason]
	return d
}
