// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
)

// Kinds of what can be wrong with how a task ended.
const (
	falseSuccess = "Success, and an instance that the source named or counted is not there"
	contradicted = "Success against evidence: the source counts or lists more than is there, though it has no more"
	inSilence    = "Success, and nothing is said of an instance that is not what it should be"
	notAskedFor  = "an instance is there that was not asked for"
	wrongNumber  = "the task counts other than what is there"
	unnamed      = "Warning, and an instance that is missing is not named"
	stuck        = "not a Success after all lies have ended and the job was retried"
	neverEnds    = "the task comes to no end"
)

// finding is something wrong.
type finding struct {
	kind, detail string
}

// judge compares how a task ended with what is there. missing are the instances that the task names; a message may name
// them too, or tell of counts that don't agree.
func (p *performance) judge(task jobs.Task, missing map[string]bool) []finding {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []finding
	add := func(kind, format string, args ...any) {
		found = append(found, finding{kind, fmt.Sprintf(format, args...)})
	}
	there, number, atMost, astray := p.there()
	truth := p.truth()
	lacks := func(uid string) bool { return !there[uid] }
	var named, absent []string
	for uid := range p.named() {
		if lacks(uid) {
			if _, ok := truth[uid]; ok {
				named = append(named, uid)
			}
		}
	}
	for uid := range truth {
		if lacks(uid) {
			absent = append(absent, uid)
		}
	}
	have := len(truth) - len(absent)
	switch task.Status {
	case jobs.Success:
		switch most, last := p.seen.counted(p.tale, slices.Max[[]int]), p.now.counted(p.tale, newest); {
		case len(named) > 0:
			add(falseSuccess, "%d of %d were named and are not there", len(named), len(truth))
		case most > have && len(absent) > 0:
			add(falseSuccess, "%d of %d are not there, and the source counted %d", len(absent), len(truth), most)
		case last > have:
			add(contradicted, "all %d are there, and the source counts %d", have, last)
		default:
			if n := p.fabled(truth, there); n > 0 {
				add(contradicted, "all %d are there, and the source lists %d more", have, n)
			}
		}
		if p.twice != "" && (p.seen.doubled[p.twice] || p.seen.arrived[p.twice] > 1) && len(p.added) > 0 {
			add(inSilence, "one SOP Instance UID in two series")
		}
		for uid := range p.strange {
			if there[uid] && p.took.other[uid] {
				add(inSilence, "an instance of another patient")
			}
		}
	case jobs.Warning:
		for _, uid := range named {
			if !missing[uid] && !slices.ContainsFunc(
				[]string{uid, "The source counts ", "The source has no instance"},
				func(s string) bool { return strings.Contains(task.Message, s) },
			) {
				add(unnamed, "%d of %d are not there; not named: %s", len(absent), len(truth), uid)
				break
			}
		}
	}
	for _, what := range astray {
		add(notAskedFor, "%s", what)
	}
	// else what was sent last may not have been answered
	counts := task.Status == jobs.Success || task.Status == jobs.Warning
	canceled := task.Status == jobs.Canceled && p.target == "folder" // nobody has looked at the files since
	if n := int(task.Delivered); n > atMost && !canceled || n < number && counts && p.target != "direct" {
		add(wrongNumber, "%d, and there are %d", n, atMost)
	}
	return found
}

// truth returns the SOP Instance UIDs that the task is to move, and their series.
func (p *performance) truth() map[string]string {
	truth := map[string]string{}
	for _, e := range p.added {
		if p.wants(e.series()) {
			truth[e.uid()] = e.series()
		}
	}
	for _, in := range p.study.Instances() {
		if s := in.Series().SeriesInstanceUID; p.wants(s) {
			truth[in.SOPInstanceUID] = s
		}
	}
	return truth
}

// named returns what the source has named of what the task is to move: listed, sent, or failed with.
func (p *performance) named() map[string]bool {
	named := map[string]bool{}
	truth := p.truth()
	for uid, series := range p.seen.listed {
		if _, ours := truth[uid]; ours || series == "" || p.wants(series) {
			named[uid] = true
		}
	}
	for uid := range p.seen.arrived {
		if _, ours := truth[uid]; ours {
			named[uid] = true
		}
	}
	for uid := range p.seen.failed {
		if _, ours := truth[uid]; ours {
			named[uid] = true
		}
	}
	return named
}

// fabled counts what the source has listed as ours and doesn't have.
func (p *performance) fabled(truth map[string]string, there map[string]bool) (n int) {
	for uid, series := range p.now.listed {
		_, ours := truth[uid]
		if !ours && !there[uid] && uid != "" && p.wants(series) {
			n++
		}
	}
	return n
}

// counted returns what the source has counted of what the task is to move, of each count that which is chosen; -1:
// nothing. A series that is listed without its UID counts where the study has no count.
func (s *evidence) counted(t *tale, choose func([]int) int) int {
	n, all := -1, 0
	if len(t.chosen) == 0 && len(s.study) > 0 {
		n = choose(s.study)
	}
	for series, counts := range s.series {
		if series == "" && n >= 0 { // it may have been one of the others, which the study's count tells
			continue
		}
		if len(t.chosen) == 0 || slices.Contains(t.chosen, series) {
			all += max(0, choose(counts))
		}
	}
	return max(n, all)
}

func newest(counts []int) int { return counts[len(counts)-1] }

// there returns what the destination has of what may count, how many instances it took at least and at most, and what
// it has that was not asked for.
func (p *performance) there() (there map[string]bool, atLeast, atMost int, astray []string) {
	there = map[string]bool{}
	if p.lane.folder != "" {
		for _, path := range p.files() {
			uid, genuine := p.readFile(path)
			switch {
			case genuine:
				there[uid] = true
			case path == p.planted: // it was not replaced
				continue
			}
			if reason := p.astray(uid); reason != "" {
				astray = append(astray, reason)
			}
			atMost++
		}
		return there, atMost, atMost, astray
	}
	verifies := p.target == "presence" || p.target == "web presence" || p.target == "commitment" || p.target == "direct"
	all := map[string]bool{}
	for uid := range p.took.acked {
		all[uid] = true
		// an older one is there in its place, whoever asks
		if p.took.whole[uid] && !(verifies && p.took.lost[uid] && !p.holds(uid)) {
			there[uid] = true
		}
		if reason := p.astray(uid); reason != "" && p.took.ours[uid] {
			astray = append(astray, reason)
		}
	}
	for _, e := range p.held {
		all[e.uid()] = true
		// what it says nothing of is asked for by web, and found
		if p.target == "skip" || p.took.already[e.uid()] || isWeb(p.target) && p.target != "web mute" {
			there[e.uid()] = true
		}
	}
	for uid := range p.took.already {
		all[uid] = true
		if p.target == "mute" || p.target == "web mute" { // it can't be asked: believed, with a warning
			there[uid] = true
		}
	}
	for _, uid := range p.dst.Store.Misname {
		all[uid] = true
	}
	return there, len(p.took.acked), len(all), astray
}

// holds reports whether the destination held an instance before.
func (p *performance) holds(uid string) bool {
	return slices.ContainsFunc(p.held, func(e extra) bool { return e.uid() == uid })
}

// astray tells why an instance should not be at the destination; nothing if it should.
func (p *performance) astray(uid string) string {
	for _, e := range p.added {
		if e.uid() == uid && p.wants(e.series()) {
			return ""
		}
	}
	for _, in := range p.study.Instances() {
		if in.SOPInstanceUID == uid {
			if p.wants(in.Series().SeriesInstanceUID) {
				return ""
			}
			return "an instance of a series that was not chosen"
		}
	}
	for _, in := range p.kin.Instances() {
		if in.SOPInstanceUID == uid {
			return "an instance of another study"
		}
	}
	for _, in := range p.stranger.Instances() {
		if in.SOPInstanceUID == uid {
			return "an instance of another patient's study"
		}
	}
	return "an instance that nobody knows"
}

// readFile returns the SOP Instance UID of a DICOM file, and whether all of it is as it should be.
func (p *performance) readFile(path string) (uid string, genuine bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	meta, o, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
	if err != nil {
		return strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".dcm"), false
	}
	defer o.Close()
	uid = meta.MediaStorageSOPInstanceUID
	sum := sha256.New()
	_, err = io.Copy(sum, o)
	same := p.same(uid, hex.EncodeToString(sum.Sum(nil)))
	p.took.other[uid] = !same
	return uid, err == nil && (same || p.untrue[uid])
}
