// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"fmt"
	"path/filepath"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/testpeer"
)

// proxied are the rows of the DICOMweb proxy. What is read is never in its cache: that is smaller than the study.
var proxied = []comparison{
	{
		name: "proxy-wado", what: "A study of CT from `dcmqrscp`, by WADO-RS through the proxy",
		ours: "`curl` through `adit serve`", theirs: "`getscu --ignore` alone",
		required: "≥ 0.8×", met: atLeastTimes(0.8), times: 3,
		prepare: readingFromDIMSE,
	},
	{
		name: "download", what: "The same, taken away as a zip",
		ours: "`curl` from `adit serve`", theirs: "`getscu --ignore` alone",
		required: "≥ 0.8×", met: atLeastTimes(0.8), times: 3,
		prepare: downloading,
	},
	{
		name: "proxy-wado-orthanc", what: "The same from Orthanc by WADO-RS",
		ours: "`curl` through `adit serve`", theirs: "`curl` from Orthanc, as stored",
		required: "≥ 0.9×", met: atLeastTimes(0.9), times: 3,
		prepare: readingFromWeb,
	},
	{
		name: "proxy-iter", what: "The same by adit-client 0.52 (`iter_study`) as pydicom's data sets, through the proxy",
		ours: "`adit serve` in front of Orthanc", theirs: "`iter_study` of dicomweb-client, which it uses, from Orthanc",
		required: "≥ 0.9×", met: atLeastTimes(0.9),
		prepare: iterating,
	},
	{
		name: "proxy-qido", what: "A search for 500 studies at `dcmqrscp`, by QIDO-RS through the proxy",
		ours: "`curl` through `adit serve`", theirs: "`findscu` alone",
		required: "≥ 0.8×", met: atLeastTimes(0.8),
		prepare: searchingByWeb,
	},
}

// smallCache holds two of the four series of a long study, smallestCache of a short one.
var (
	smallCache    = []string{"--series-cache", "0.5"}
	smallestCache = []string{"--series-cache", "0.12"}
)

// get is curl of something through the proxy; what it gets is counted with what ADIT spends.
func (a *aditServer) get(in *room, images int, accept, path string) (sample, error) {
	before, err := spent(a.pid)
	if err != nil {
		return sample{}, err
	}
	r, err := sent(in, images, program{nil, "curl", []string{
		"--silent", "--show-error", "--fail", "--output", "/dev/null", "--header", "Accept: " + accept,
		"--header", "Authorization: Token " + a.token,
		a.url + path,
	}})
	if err != nil {
		return r, err
	}
	after, err := spent(a.pid)
	if err != nil {
		return r, err
	}
	r.cpu += after - before
	return r, nil
}

// readingFromDIMSE compares a retrieve through ADIT with the C-GET that it takes.
func readingFromDIMSE(b *bench, in *room) (ours, theirs side, err error) {
	return comparedToGet(b, in, "proxy-wado", objects, "/dicom-web/QRSCP/studies/%s")
}

// downloading compares a download with the C-GET that it takes.
func downloading(b *bench, in *room) (ours, theirs side, err error) {
	return comparedToGet(b, in, "download", "*/*", "/api/v1/servers/source/studies/%s/download")
}

func comparedToGet(b *bench, in *room, name, accept, path string) (ours, theirs side, err error) {
	s := b.sets.long
	from, err := in.qrSCP(s)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(in.dir, "data")
	adit, err := b.serveIn(in, name, dir, dir, smallCache...)
	if err != nil {
		return nil, nil, err
	}
	if err := adit.add(in.ctx, "source", "QRSCP", from); err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) { return adit.get(in, s.images, accept, fmt.Sprintf(path, s.study)) }
	theirs = func() (sample, error) {
		return sent(in, s.images, program{noDelay, "getscu", []string{
			"-S", "--ignore", "-pdu", maxPDU, "-aec", "QRSCP", "-k",
			"0008,0052=STUDY", "-k", "0020,000D=" + s.study, loopback, from.port,
		}})
	}
	return ours, theirs, nil
}

const objects = `multipart/related; type="application/dicom"; transfer-syntax=*`

// inFrontOfOrthanc serves a study of an Orthanc that is spoken to by DICOMweb alone, which it is there at.
func (b *bench) inFrontOfOrthanc(in *room, name string, s set, cache []string) (*orthanc, *aditServer, error) {
	from, err := in.webOrthanc("source")
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := in.run(storeSCU(noDelay, from.server, s.dirs...)); err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(in.dir, "data")
	adit, err := b.serveIn(in, name, dir, dir, cache...)
	if err != nil {
		return nil, nil, err
	}
	return from, adit, adit.addWeb(in, "source", from.url+"/dicom-web", client.Supports{QIDO: true, WADO: true})
}

// readingFromWeb compares a retrieve through ADIT with the same one at the server.
func readingFromWeb(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.long
	from, adit, err := b.inFrontOfOrthanc(in, "proxy-wado-orthanc", s, smallCache)
	if err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) {
		return adit.get(in, s.images, objects, "/dicom-web/WEB/studies/"+s.study)
	}
	theirs = func() (sample, error) {
		return sent(in, s.images, program{nil, "curl", []string{
			"--silent", "--show-error", "--fail", "--output", "/dev/null", "--header", "Accept: " + objects,
			from.url + "/dicom-web/studies/" + s.study,
		}})
	}
	return ours, theirs, nil
}

// iterated is a program that goes through a study; its arguments: through whom, address, token, study.
const iterated = `
import sys
how, url, token, study = sys.argv[1:]
if how == "adit":
    from adit_client import AditClient
    found = AditClient(server_url=url, auth_token=token).iter_study("WEB", study)
else:
    from dicomweb_client import DICOMwebClient
    found = DICOMwebClient(url=url).iter_study(study)
print(sum(1 for _ in found))
`

// iterating compares what a program of Python gets through ADIT with what it gets from the server.
func iterating(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.ct
	python, err := testpeer.PythonOf("test/dicomweb")
	if err != nil {
		return nil, nil, err
	}
	from, adit, err := b.inFrontOfOrthanc(in, "proxy-iter", s, smallestCache)
	if err != nil {
		return nil, nil, err
	}
	through := func(how, url, token string) side {
		return func() (sample, error) {
			return sent(in, s.images, program{nil, python, []string{"-c", iterated, how, url, token, s.study}})
		}
	}
	return through("adit", adit.url, adit.token), through("orthanc", from.url+"/dicom-web", "-"), nil
}

// searchingByWeb compares a search through ADIT with the C-FIND that it takes. Each turn asks for another list: the
// proxy keeps one for a while.
func searchingByWeb(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.ones
	from, err := in.qrSCP(s)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(in.dir, "data")
	adit, err := b.serveIn(in, "proxy-qido", dir, dir)
	if err != nil {
		return nil, nil, err
	}
	if err := adit.add(in.ctx, "source", "QRSCP", from); err != nil {
		return nil, nil, err
	}
	turn := 0
	ours = func() (sample, error) {
		turn++
		return adit.get(in, s.images, "application/dicom+json",
			fmt.Sprintf("/dicom-web/QRSCP/studies?PatientName=Phantom*&StudyDate=%d-", 19000101+turn))
	}
	theirs = func() (sample, error) {
		args := []string{
			"-S", "-aec", "QRSCP", "-k", "0008,0052=STUDY", "-k", "0010,0010=Phantom*", "-k", "0008,0020=19000101-",
		}
		for _, key := range []string{
			"0008,0030", "0008,0050", "0008,0056", "0008,0061", "0008,0090", "0010,0020", "0010,0030", "0010,0040",
			"0020,000D", "0020,0010", "0008,1030", "0020,1206", "0020,1208",
		} {
			args = append(args, "-k", key)
		}
		return sent(in, s.images, program{noDelay, "findscu", append(args, loopback, from.port)})
	}
	return ours, theirs, nil
}
