// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import "context"

// NodeUse is what a user's groups may do with a DICOM node.
type NodeUse struct{ Source, Destination bool }

// Words says it for the audit log.
func (u NodeUse) Words() (list []string) {
	if u.Source {
		list = append(list, "source")
	}
	if u.Destination {
		list = append(list, "destination")
	}
	return list
}

// NodeUses returns what a user's groups may do, by DICOM node.
func (s *Groups) NodeUses(ctx context.Context, userID int64) (map[int64]NodeUse, error) {
	rows, err := s.svc.q.NodeAccessOf(ctx, userID)
	uses := make(map[int64]NodeUse, len(rows))
	for _, row := range rows {
		uses[row.DicomNodeID] = NodeUse{row.IsSource, row.IsDestination}
	}
	return uses, err
}

// SearchRight is what it takes to ask a server what it has, besides access to it as a source: the permission for a
// section that searches and that is not locked.
func SearchRight() Action { return Action{Sections: []string{SelectiveTransfer, Explorer}} }

// SectionRight is what it takes to begin something in a section, besides access to source and destination.
func SectionRight(section string) Action { return Action{Sections: []string{section}} }

// BatchRight is what it takes to have a file of rows checked.
func BatchRight() Action { return Action{Sections: []string{BatchQuery, BatchTransfer}} }

// QuarantineRight is what it takes to handle unsolicited instances.
func QuarantineRight() Action { return Action{Staff: true, Permissions: []string{Quarantine}} }

// LinkageRight is what it takes to read the linkage table of a project, besides membership in it.
func LinkageRight() Action { return Action{Permissions: []string{Linkage}} }

// TokenRight is what it takes to make an API token.
func TokenRight() Action { return Action{Permissions: []string{Tokens}} }
