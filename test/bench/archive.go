// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/adit-go/adit/client"
)

// archives are the rows of archives, each against the same study in a plain folder on the same disk.
var archives = []comparison{
	{
		name: "archive", what: "A job: CT from `dcmqrscp` into an encrypted archive, with names",
		ours: "`adit serve`", theirs: "`adit serve` into a plain folder",
		required: "≥ 0.8×", met: atLeastTimes(0.8), times: 3,
		prepare: func(b *bench, in *room) (side, side, error) { return archiving(b, in, "") },
	},
	{
		name: "archive-pseudonym", what: "The same, under a pseudonym on both sides",
		ours: "`adit serve`", theirs: "`adit serve` into a plain folder",
		required: "≥ 0.8×", met: atLeastTimes(0.8), times: 3,
		prepare: func(b *bench, in *room) (side, side, error) { return archiving(b, in, "SUBJ-1") },
	},
}

func archiving(b *bench, in *room, pseudonym string) (ours, theirs side, err error) {
	s := b.sets.ct
	from, err := in.qrSCP(s)
	if err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "archive"+pseudonym)
	if err != nil {
		return nil, nil, err
	}
	folder, err := in.tempDir()
	if err != nil {
		return nil, nil, err
	}
	_, err = adit.Folders.Add(in.ctx, client.FolderSettings{Name: "destination", Path: folder})
	if err := errors.Join(err, adit.add(in.ctx, "source", "QRSCP", from)); err != nil {
		return nil, nil, err
	}
	into := func(password string) side {
		return func() (sample, error) {
			r, err := adit.jobOf(in.ctx, s, client.NewJob{
				Source: "source", Destination: "destination", ArchivePassword: password,
				Studies: []client.NewStudy{{StudyInstanceUID: s.study, Pseudonym: pseudonym}},
			})
			if err != nil {
				return r, err
			}
			made, err := filepath.Glob(filepath.Join(folder, "*.zip"))
			for _, name := range made {
				err = errors.Join(err, os.Remove(name))
			}
			return r, errors.Join(err, emptyFolder(folder))
		}
	}
	return into("correct horse battery staple"), into(""), nil
}
