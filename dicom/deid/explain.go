// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import "github.com/adit-go/adit/dicom/stream"

// Explained is what happens to one attribute. It shows values: it is for the eyes of whoever has the file.
type Explained struct {
	Path    string // tags from the outermost sequence on: "(0040,0275)[1] (0040,0007)"
	Keyword string
	Before  string // as text, shortened
	Action  Action
	Rule    string // what decided
	After   string
}

// Explain tells what Rewrite would do to each attribute of the header, in order; the object stays as it is. Errors are those of Rewrite.
func (s *Session) Explain(o *stream.Object) ([]Explained, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Explained
	report := Report{SOPInstanceUID: o.Header().SOPInstanceUID()}
	if err := s.rewrite(o, &report, &list); err != nil {
		return nil, err
	}
	return list, nil
}
