// SPDX-License-Identifier: AGPL-3.0-or-later

package evidence

// Scope is which series the task is about.
type Scope struct{ all *Instances }

// Study is the Study Instance UID.
func (in Scope) Study() string { return in.all.study }

// LeavesOut reports whether the job leaves a series out.
func (in Scope) LeavesOut(series string) bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	return in.all.omitted[series]
}

// Wants reports whether the task is about a series.
func (in Scope) Wants(study, series string) bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	return study == in.all.study && (in.all.inScope(series) || in.all.reads[series])
}

// OnlyReads reports whether a series is fetched for its rejection notes alone.
func (in Scope) OnlyReads(series string) bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	return in.all.reads[series]
}
