// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"errors"
	"strconv"

	"github.com/adit-go/adit/client"
)

// moved are the rows of C-MOVE and of transfers under a pseudonym.
var moved = []comparison{
	{
		name: "move", what: "C-MOVE of CT from `dcmqrscp`: a job through ADIT's receiver to `storescp --ignore`",
		ours: "`adit serve`", theirs: "`movescu` straight into `storescp --ignore`",
		required: "≥ 0.8×", met: func(r result) bool { return r.ratio() >= 0.8 },
		prepare: moving,
	},
	{
		name: "pseudonym", what: "A job: CT from `dcmqrscp` to `storescp --ignore`, under a pseudonym",
		ours: "with", theirs: "without",
		required: "≥ 0.9×", met: func(r result) bool { return r.ratio() >= 0.9 },
		prepare: pseudonymizing,
	},
}

// moving compares C-MOVE into the receiver of adit serve, and on to storescp, with C-MOVE into storescp.
func moving(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.long
	into, err := in.storeSCP(noDelay, "--ignore", "--fork")
	if err != nil {
		return nil, nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	from, err := in.qrSCPTo(s, map[string]string{"STORESCP": into.port, "ADIT": port, "ADIT_LE": port})
	if err != nil {
		return nil, nil, err
	}
	adit, err := b.serveReceiving(in, "move", loopback+":"+port)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(
		adit.addMoving(in, "source", "QRSCP", from), adit.add(in.ctx, "destination", "STORESCP", into),
	); err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) { return adit.transfer(in.ctx, s) }
	theirs = func() (sample, error) {
		return sent(in, s.images, program{noDelay, "movescu", []string{
			"-S", "-aet", "ADIT", "-aec", "QRSCP", "-aem", "STORESCP", "-k",
			"0008,0052=STUDY", "-k", "0020,000D=" + s.study, loopback, from.port,
		}})
	}
	return ours, theirs, nil
}

// pseudonymizing compares a job with the same one under a pseudonym.
func pseudonymizing(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.long
	adit, _, _, err := b.between(in, "pseudonym", s)
	if err != nil {
		return nil, nil, err
	}
	for range 2 { // the first jobs of a server are slower than all others
		if _, err := adit.transfer(in.ctx, s); err != nil {
			return nil, nil, err
		}
	}
	ours = func() (sample, error) {
		return adit.transferAs(in.ctx, s, client.NewStudy{StudyInstanceUID: s.study, Pseudonym: "BENCH-P"})
	}
	theirs = func() (sample, error) { return adit.transfer(in.ctx, s) }
	return ours, theirs, nil
}

// addMoving tells ADIT of a server that may only C-MOVE.
func (a *aditServer) addMoving(in *room, name, aeTitle string, s *server) error {
	port, err := strconv.Atoi(s.port)
	if err != nil {
		return err
	}
	_, err = a.Servers.Add(in.ctx, client.ServerSettings{
		Name: name, AETitle: aeTitle, Host: loopback, Port: port,
		Supports: client.Supports{StudyRootFind: true, StudyRootMove: true},
		Retrieve: client.Retrieve{MoveOriginator: true},
	})
	return err
}
