// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"context"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/fault"
)

// ListChunk is how many instances one request names.
const ListChunk = 64

// LeastCap is how many answers to a C-FIND may be all that a server gives: what it did not list is then asked for by
// its UIDs.
const LeastCap = 100

// Present asks a server which of the instances of a series it lists. byName is false of one that knows no IMAGE level:
// it is asked for its count, which proves that all are there only if it is no less than what was sent, and was 0
// before. before is -1 where that is not known.
func (s *Server) Present(ctx context.Context, patientID, study, series string, uids []string, sent, before int) (
	found map[string]bool, byName bool, err error,
) {
	if s.Node.Server.FindImages {
		found = map[string]bool{}
		listed, err := s.ListPresent(ctx, patientID, study, series, nil, found)
		switch {
		case fault.Declined(err): // it knows no IMAGE level
		case err != nil || listed < LeastCap:
			return found, true, err
		default:
			rest := slices.DeleteFunc(slices.Clone(uids), func(uid string) bool { return found[uid] })
			for chunk := range slices.Chunk(rest, ListChunk) {
				if _, err := s.ListPresent(ctx, patientID, study, series, chunk, found); err != nil {
					return found, true, err
				}
			}
			return found, true, nil
		}
	}
	found = map[string]bool{}
	if before != 0 {
		return found, false, nil
	}
	there, err := s.CountPresent(ctx, patientID, study, series)
	if err == nil && there >= sent {
		for _, uid := range uids {
			found[uid] = true
		}
	}
	return found, false, err
}

// ListPresent asks for a series, or for the instances named, and adds what is answered. What a list by QIDO-RS that
// can't be shown to be whole does not name may be there all the same: such a list counts as capped.
func (s *Server) ListPresent(
	ctx context.Context, patientID, study, series string, uids []string, found map[string]bool,
) (listed int, err error) {
	id := s.SeriesQuery("IMAGE", PresenceKeys, patientID, study, series)
	id.Set(dict.SOPInstanceUID, uids...)
	for ds, err := range s.Find(ctx, id) {
		if CutShort(err) {
			return max(listed, LeastCap), nil
		}
		if err != nil {
			return listed, err
		}
		if uid := ds.String(dict.SeriesInstanceUID); uid != "" && uid != series {
			continue
		}
		listed++
		found[ds.String(dict.SOPInstanceUID)] = true
	}
	return listed, nil
}

// SeriesAbsent is given instead of a count where a server does not list a series at all.
const SeriesAbsent = -2

// CountPresent asks how many instances of a series a server counts; -1: it lists the series and doesn't count.
func (s *Server) CountPresent(ctx context.Context, patientID, study, series string) (int, error) {
	id := s.SeriesQuery("SERIES", []dict.Tag{dict.NumberOfSeriesRelatedInstances}, patientID, study, series)
	there := SeriesAbsent
	for ds, err := range s.Find(ctx, id) {
		if CutShort(err) && there != SeriesAbsent {
			break // it was asked for by its UID
		}
		if err != nil {
			return there, err
		}
		if ds.String(dict.SeriesInstanceUID) == series {
			there = Count(ds, dict.NumberOfSeriesRelatedInstances)
		}
	}
	return there, nil
}
