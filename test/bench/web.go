// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/testpeer"
)

// web are the rows of DICOMweb, against Orthanc with its plug-in.
var web = []comparison{
	{
		name: "wado", what: "A job: CT from Orthanc by WADO-RS into a folder in memory",
		ours: "`adit serve`", theirs: "`curl` of the lists of its series, and of the study into a file",
		required: "≥ 0.9×", met: atLeastTimes(0.9), times: 3,
		prepare: func(b *bench, in *room) (side, side, error) { return retrievingByWeb(b, in, true) },
	},
	// Orthanc's lists alone take longer than curl takes for the study: this shows what it costs to know that it is whole.
	{
		name: "wado-bare", what: "The same",
		ours: "`adit serve`", theirs: "`curl` of the study alone, without a look whether it is whole",
		required: "–", met: atLeastTimes(0), times: 3,
		prepare: func(b *bench, in *room) (side, side, error) { return retrievingByWeb(b, in, false) },
	},
	{
		name: "wado-get", what: "The same",
		ours: "`adit serve`", theirs: "`adit serve` by C-FIND and C-GET from the same Orthanc",
		required: "–", met: atLeastTimes(0), times: 3,
		prepare: retrievingBothWays,
	},
	{
		name: "stow", what: "A job: CT from `dcmqrscp` by STOW-RS into Orthanc",
		ours:     "`adit serve`",
		theirs:   "`curl` with bodies made before, of 100 objects (54 MB) each",
		required: "≥ 0.9×", met: atLeastTimes(0.9), times: 3,
		prepare: storingByWeb,
	},
	{
		name: "stow-far", what: "The same, objects of 6 kB, into Orthanc that is 20 ms away in each direction",
		ours: "`adit serve`", theirs: "`adit serve` by C-STORE, as far away",
		required: "≥ 0.9×", met: atLeastTimes(0.9),
		prepare: storingFarAway,
	},
	{
		name: "stow-proxy", what: "`curl` stores 400 CT through the proxy into `storescp --ignore`: one body, made before",
		ours: "`adit serve`", theirs: "`adit store` alone into the same `storescp`",
		required: "≥ 0.8×", met: atLeastTimes(0.8),
		prepare: storingThroughProxy,
	},
}

func atLeastTimes(least float64) func(result) bool {
	return func(r result) bool { return r.ratio() >= least }
}

// addWeb tells ADIT of a server that is spoken to by DICOMweb alone.
func (a *aditServer) addWeb(in *room, name, root string, s client.Supports) error {
	_, err := a.Servers.Add(in.ctx, client.ServerSettings{
		Name: name, AETitle: "WEB", Supports: s, DICOMweb: client.DICOMweb{RootURL: root},
	})
	return err
}

// retrievingByWeb compares a job into a folder with a retrieve of the study into a file, after lists of what is in it
// or without. What was written is deleted after each turn.
func retrievingByWeb(b *bench, in *room, lists bool) (ours, theirs side, err error) {
	s := b.sets.long
	from, err := in.webOrthanc("source")
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := in.run(storeSCU(noDelay, from.server, s.dirs...)); err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "wado")
	if err != nil {
		return nil, nil, err
	}
	folder, err := in.memory()
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(folder, "study.multipart")
	if err := adit.addWeb(in, "source", from.url+"/dicom-web", client.Supports{QIDO: true, WADO: true}); err != nil {
		return nil, nil, err
	}
	if _, err := adit.Folders.Add(in.ctx, client.FolderSettings{Name: "destination", Path: folder}); err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) {
		r, err := adit.transfer(in.ctx, s)
		if err != nil {
			return r, err
		}
		return r, emptyFolder(folder)
	}
	study := from.url + "/dicom-web/studies/" + s.study
	get := func(to, accept, url string) []string {
		return []string{"--silent", "--show-error", "--fail", "--output", to, "--header", "Accept: " + accept, url}
	}
	bare := get(file, `multipart/related; type="application/dicom"; transfer-syntax=*`, study)
	args := bare
	for _, uid := range s.series {
		args = slices.Concat(
			get(filepath.Join(in.dir, "list"), "application/dicom+json", study+"/series/"+uid+"/instances"),
			[]string{"--next"}, args,
		)
	}
	if !lists {
		args = bare
	}
	theirs = func() (sample, error) {
		r, err := sent(in, s.images, program{nil, "curl", args})
		if err != nil {
			return r, err
		}
		info, err := os.Stat(file)
		if err == nil && info.Size() < s.bytes*int64(s.images) {
			err = fmt.Errorf("curl got %d bytes", info.Size())
		}
		return r, errors.Join(err, os.Remove(file))
	}
	return ours, theirs, nil
}

// retrievingBothWays compares the two ways to retrieve from one server into folders.
func retrievingBothWays(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.long
	from, err := in.webOrthanc("source")
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := in.run(storeSCU(noDelay, from.server, s.dirs...)); err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "wado-get")
	if err != nil {
		return nil, nil, err
	}
	folder, err := in.memory()
	if err != nil {
		return nil, nil, err
	}
	if _, err := adit.Folders.Add(in.ctx, client.FolderSettings{Name: "destination", Path: folder}); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(
		adit.add(in.ctx, "dimse", "ORTHANC", from.server),
		adit.addWeb(in, "web", from.url+"/dicom-web", client.Supports{QIDO: true, WADO: true}),
	); err != nil {
		return nil, nil, err
	}
	by := func(source string) side {
		return func() (sample, error) {
			r, err := adit.job(in.ctx, s, source, "destination", client.NewStudy{StudyInstanceUID: s.study})
			if err != nil {
				return r, err
			}
			return r, emptyFolder(folder)
		}
	}
	return by("web"), by("dimse"), nil
}

// memory makes a folder in memory, which goes with the room: ADIT waits for a disk to have each file, curl doesn't.
func (r *room) memory() (string, error) {
	dir, err := os.MkdirTemp("/dev/shm", "adit-bench-")
	if err == nil {
		r.closers = append(r.closers, func() error { return os.RemoveAll(dir) })
	}
	return dir, err
}

// emptyFolder deletes what a job has written into a folder.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// storingByWeb compares the way through ADIT with what Orthanc takes from curl, one request after the other over one
// connection. Orthanc is emptied after each turn.
func storingByWeb(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.ct
	from, err := in.qrSCP(s)
	if err != nil {
		return nil, nil, err
	}
	to, err := in.webOrthanc("destination")
	if err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "stow")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(
		adit.add(in.ctx, "source", "QRSCP", from),
		adit.addWeb(in, "destination", to.url+"/dicom-web", client.Supports{QIDO: true, STOW: true}),
	); err != nil {
		return nil, nil, err
	}
	bodies, err := writeBodies(in.dir, s, perBody)
	if err != nil {
		return nil, nil, err
	}
	var args []string
	for _, body := range bodies {
		args = append(args,
			"--next", "--silent", "--show-error", "--fail", "--output", filepath.Join(in.dir, "answer"),
			"--request", "POST", "--upload-file", body, "--header", "Expect:", "--header", "Accept: application/dicom+json",
			"--header", `Content-Type: multipart/related; type="application/dicom"; boundary=`+boundary,
			to.url+"/dicom-web/studies/"+s.study,
		)
	}
	ours = to.emptied(in, s, func() (sample, error) { return adit.transfer(in.ctx, s) })
	theirs = to.emptied(in, s, func() (sample, error) {
		return sent(in, s.images, program{nil, "curl", args[1:]})
	})
	return ours, theirs, nil
}

// perBody is how many objects curl sends at once.
const perBody = 100

var boundary = fmt.Sprintf("%x", sha256.Sum256([]byte("bench")))

// writeBodies writes the bodies of requests that store a set, each with so many objects at most.
func writeBodies(dir string, s set, most int) (bodies []string, err error) {
	var files []string
	for _, d := range s.dirs {
		err = errors.Join(err, filepath.WalkDir(d, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				files = append(files, path)
			}
			return err
		}))
	}
	for some := range slices.Chunk(files, most) {
		name := filepath.Join(dir, "body-"+strconv.Itoa(len(bodies)))
		bodies = append(bodies, name)
		err = errors.Join(err, writeBody(name, some))
	}
	return bodies, err
}

func writeBody(name string, files []string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		fmt.Fprintf(w, "--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n", boundary, b)
	}
	fmt.Fprintf(w, "--%s--\r\n", boundary)
	return errors.Join(w.Flush(), f.Close())
}

// storingThroughProxy compares what comes by STOW-RS and goes on by C-STORE with what goes by C-STORE alone. The
// processor's time is that of adit serve, without curl's.
func storingThroughProxy(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.ct
	scp, err := in.storeSCP(noDelay, "--ignore")
	if err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "stow-proxy")
	if err != nil {
		return nil, nil, err
	}
	if err := adit.add(in.ctx, "destination", "STORESCP", scp); err != nil {
		return nil, nil, err
	}
	bodies, err := writeBodies(in.dir, s, s.images)
	if err != nil {
		return nil, nil, err
	}
	args := []string{
		"--silent", "--show-error", "--fail", "--output", filepath.Join(in.dir, "answer"), "--request", "POST",
		"--upload-file", bodies[0], "--header", "Expect:", "--header", "Authorization: Token " + adit.token,
		"--header", `Content-Type: multipart/related; type="application/dicom"; boundary=` + boundary,
		adit.url + "/dicom-web/STORESCP/studies/" + s.study,
	}
	ours = func() (sample, error) {
		return adit.timed(s.images, func() error {
			_, _, err := in.run(program{nil, "curl", args})
			return err
		})
	}
	theirs = func() (sample, error) { return sent(in, s.images, b.store(scp, s.dirs...)) }
	return ours, theirs, nil
}

// storingFarAway compares the two ways to store at a server that is far away.
func storingFarAway(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.tiny
	from, err := in.qrSCP(s)
	if err != nil {
		return nil, nil, err
	}
	to, err := in.webOrthanc("destination")
	if err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "stow-far")
	if err != nil {
		return nil, nil, err
	}
	byDIMSE, err := in.far(to.addr)
	if err != nil {
		return nil, nil, err
	}
	byWeb, err := in.far(to.url[len("http://"):])
	if err != nil {
		return nil, nil, err
	}
	far := &server{addr: byDIMSE.Addr, port: strconv.Itoa(byDIMSE.Port)}
	if err := errors.Join(
		adit.add(in.ctx, "source", "QRSCP", from), adit.add(in.ctx, "dimse", "ORTHANC", far),
		adit.addWeb(in, "web", "http://"+byWeb.Addr+"/dicom-web", client.Supports{QIDO: true, STOW: true}),
	); err != nil {
		return nil, nil, err
	}
	by := func(destination string) side {
		return to.emptied(in, s, func() (sample, error) {
			return adit.job(in.ctx, s, "source", destination, client.NewStudy{StudyInstanceUID: s.study})
		})
	}
	return by("web"), by("dimse"), nil
}

// far puts a network between us and an address.
func (r *room) far(addr string) (*testpeer.Link, error) {
	link, err := testpeer.LinkTo("tcp", addr)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, link.Close)
	link.Delay(farAway)
	return link, nil
}
