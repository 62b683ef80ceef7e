// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

// promises are all that sink.Sink promises, as subtests of Run.
var promises = []promise{
	{"whole", nil, whole},
	{"what is not taken is told", nil, notTaken},
	{"prepared anew for more", nil, preparedAnew},
	{"slots", nil, slots},
	{"workers come and go", severalWorkers, workersComeAndGo},
	{"a status is the destination's", needs("answer as told", func(s *Subject) bool { return s.Answer != nil }), statuses},
	{"refused", needs("be made to refuse", func(s *Subject) bool { return s.Refuse != nil }), refused},
	{"another UID is told", needs("tell another UID", func(s *Subject) bool { return s.Rename != nil }), renamed},
	{"away is an error", needs("be taken away", func(s *Subject) bool { return s.Away != nil }), away},
	{"after a crash", needs("outlive its process", func(s *Subject) bool { return s.Crash != nil }), afterCrash},
	{"put twice", nil, putTwice},
	{"another under the same UID", nil, sameUID},
	{"a source that breaks off", nil, brokenSource},
	{"opened once", nil, openedOnce},
	{"a connection that breaks", needs("break one", func(s *Subject) bool { return s.Break != nil }), brokenConnection},
	{"a dropped connection", needs("drop one", func(s *Subject) bool { return s.Drop != nil }), droppedConnection},
	{"a context that ends", nil, endedContext},
	{"a destination that stalls", needs("be made to stall", func(s *Subject) bool { return s.Stall != nil }), stalled},
	{"gone", nil, gone},
	{"ended at any time", nil, endedAnyTime},
	{"closed before it was opened", nil, closedUnopened},
	{"odd names", needs("have files", func(s *Subject) bool { return s.Root != "" }), oddlyNamed},
}

// needs makes a promise one of destinations that can do something.
func needs(what string, can func(s *Subject) bool) func(s *Subject) string {
	return func(s *Subject) string {
		if can(s) {
			return ""
		}
		return "the destination can't " + what
	}
}

func severalWorkers(s *Subject) string {
	if s.Sink.Workers() > 1 {
		return ""
	}
	return "the sink has one worker"
}
