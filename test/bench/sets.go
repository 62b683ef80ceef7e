// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"path/filepath"
	"strconv"

	"github.com/adit-go/adit/dicom/phantom"
)

// set is a study as files.
type set struct {
	study  string   // its UID
	series []string // UIDs of its series
	others []string // UIDs of further studies
	dirs   []string // four folders with a quarter each, or one
	images int
	bytes  int64 // of one image
}

// sets are the studies that are sent.
type sets struct {
	ct   set // 400 images of 536 kB
	long set // 1600 images of the same kind, a study like that of a whole body
	tiny set // 2000 images of 6 kB
	huge set // an object of 210 MB
	ones set // 500 studies of one image of 6 kB
}

// ctSeries are 100 images of 536 kB.
var ctSeries = phantom.SeriesSpec{Kind: phantom.CT, Instances: 100, Rows: 512, Columns: 522}

func makeSets(dir string) (sets, error) {
	var all sets
	var err error
	if all.ct, err = makeSet(filepath.Join(dir, "ct"), 1, 4, ctSeries); err != nil {
		return all, err
	}
	series := ctSeries
	series.Instances = 400
	if all.long, err = makeSet(filepath.Join(dir, "long"), 4, 4, series); err != nil {
		return all, err
	}
	if all.tiny, err = makeSet(
		filepath.Join(dir, "tiny"), 2, 4, phantom.SeriesSpec{Kind: phantom.CT, Instances: 500, Rows: 48, Columns: 48},
	); err != nil {
		return all, err
	}
	if all.ones, err = makeOnes(filepath.Join(dir, "ones")); err != nil {
		return all, err
	}
	all.huge, err = makeSet(filepath.Join(dir, "huge"), 3, 1, phantom.SeriesSpec{
		Kind: phantom.MultiFrame, Rows: 1024, Columns: 1024, Frames: 100,
	})
	return all, err
}

// makeOnes writes studies of one image each into one folder.
func makeOnes(dir string) (set, error) {
	s := set{dirs: []string{dir}}
	for n := range uint64(500) {
		one, err := makeSet(
			filepath.Join(dir, strconv.FormatUint(n, 10)), 100+n, 1,
			phantom.SeriesSpec{Kind: phantom.CT, Instances: 1, Rows: 48, Columns: 48},
		)
		if err != nil {
			return s, err
		}
		if s.study == "" {
			s.study, s.bytes = one.study, one.bytes
		} else {
			s.others = append(s.others, one.study)
		}
		s.images += one.images
	}
	return s, nil
}

// makeSet writes a study, each series into a folder of its own.
func makeSet(dir string, seed uint64, series int, spec phantom.SeriesSpec) (set, error) {
	study := phantom.StudySpec{
		Patient: phantom.Patient{
			ID: "BENCH-" + strconv.FormatUint(seed, 10), Name: "Phantom^Bench", BirthDate: "19700101", Sex: "O",
		},
	}
	for range series {
		study.Series = append(study.Series, spec)
	}
	st := phantom.New(seed, study)
	s := set{study: st.StudyInstanceUID, images: len(st.Instances()), bytes: st.Instances()[0].Size()}
	for _, se := range st.Series {
		one := &phantom.Study{Spec: st.Spec, Series: []*phantom.Series{se}}
		sub := filepath.Join(dir, strconv.Itoa(se.Number))
		if _, err := one.WriteFiles(sub); err != nil {
			return s, err
		}
		s.dirs, s.series = append(s.dirs, sub), append(s.series, se.SeriesInstanceUID)
	}
	return s, nil
}
