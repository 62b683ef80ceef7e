// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"context"
	"slices"

	"github.com/adit-go/adit/dicom/dimse"
)

// commit takes over the responsibility for what is held.
func (p *PACS) commit(_ context.Context, sa *dimse.ServerAssociation, rq *dimse.CommitmentRequest) (
	dimse.Status, *dimse.CommitmentReport,
) {
	_, end := p.begin(sa)
	defer end()
	report := &dimse.CommitmentReport{TransactionUID: rq.TransactionUID}
	for _, i := range rq.Instances {
		f := p.faultsOf([]string{i.SOPInstanceUID}).commitment()
		both, held := slices.Contains(f.Both, i.SOPInstanceUID), p.archive.instance(i.SOPInstanceUID) != nil
		if held && !slices.Contains(f.Refuse, i.SOPInstanceUID) || both {
			report.Committed = append(report.Committed, i)
		}
		if !held || slices.Contains(f.Refuse, i.SOPInstanceUID) || both {
			report.Failed = append(
				report.Failed, dimse.FailedReference{SOPReference: i, Reason: dimse.NoSuchSOPInstance},
			)
		}
	}
	return dimse.Success, report
}
