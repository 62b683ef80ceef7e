// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

// How DCMTK is run: with Nagle's algorithm as it comes, or without.
var (
	nagle   []string
	noDelay = []string{testpeer.NoDelay}
)

// maxPDU is the largest PDU that DCMTK takes; its own default is 16384.
const maxPDU = "131072"

// storeSCP starts DCMTK's storescp.
func (r *room) storeSCP(env []string, args ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args = append([]string{"-aet", "STORESCP", "-pdu", maxPDU, "+xa"}, args...)
	return r.listening(program{env, "storescp", append(args, port)}, port)
}

// storeSCU is DCMTK's storescu, which sends all files of the folders.
func storeSCU(env []string, to *server, dirs ...string) program {
	args := []string{"-pdu", maxPDU, "-aec", "ORTHANC", "+sd", loopback, to.port}
	return program{env, "storescu", append(args, dirs...)}
}

// store is `adit store`.
func (b *bench) store(to *server, dirs ...string) program {
	return program{nil, b.adit, append([]string{"store", loopback, to.port}, dirs...)}
}

// qrSCP starts DCMTK's dcmqrscp with the studies of a set.
func (r *room) qrSCP(s set) (*server, error) { return r.qrSCPTo(s, nil) }

// qrSCPTo is qrSCP with C-MOVE destinations, by AE title with their ports.
func (r *room) qrSCPTo(s set, destinations map[string]string) (*server, error) {
	index := filepath.Join(r.dir, "index")
	if err := os.Mkdir(index, 0o700); err != nil {
		return nil, err
	}
	args := []string{index}
	for _, dir := range s.dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				args = append(args, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if _, _, err := r.run(program{nil, "dcmqridx", args}); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	hosts := []string{"HostTable BEGIN"}
	for title, port := range destinations {
		hosts = append(hosts, fmt.Sprintf("h%s = (%s, %s, %s)", strings.ToLower(title), title, loopback, port))
	}
	config := filepath.Join(r.dir, "dcmqrscp.cfg")
	lines := slices.Concat(
		[]string{"NetworkTCPPort = " + port, "MaxPDUSize = " + maxPDU, "MaxAssociations = 16"}, hosts,
		[]string{
			"HostTable END", "VendorTable BEGIN", "VendorTable END", "AETable BEGIN",
			"QRSCP " + index + " RW (1000, 1024mb) ANY", "AETable END", "",
		},
	)
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return nil, err
	}
	return r.listening(program{noDelay, "dcmqrscp", []string{"-c", config}}, port)
}

// orthanc is a running Orthanc.
type orthanc struct {
	*server
	url string
}

// orthanc starts Orthanc with AE title ORTHANC, without plug-ins and compression. It takes four associations at once.
func (r *room) orthanc(name string) (*orthanc, error) {
	return r.orthancWith(name, map[string]any{"Plugins": []string{}})
}

// webOrthanc is orthanc with the plug-in for DICOMweb, at /dicom-web.
func (r *room) webOrthanc(name string) (*orthanc, error) {
	return r.orthancWith(name, map[string]any{
		"Plugins":  []string{testpeer.OrthancPlugin},
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/"},
	})
}

func (r *room) orthancWith(name string, settings map[string]any) (*orthanc, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	rest, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.dir, name)
	all := map[string]any{
		"Name": name, "DicomAet": "ORTHANC", "DicomPort": json.Number(port), "HttpPort": json.Number(rest),
		"AuthenticationEnabled": false, "StorageDirectory": dir,
		"IndexDirectory": dir, "StorageCompression": false,
		"DicomCheckCalledAet": false, "DicomAlwaysAllowEcho": true,
		"DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true,
		"DicomAlwaysAllowStore": true, "DicomThreadsCount": 4,
	}
	maps.Copy(all, settings)
	config, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, name+".json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	// It opens the HTTP listener last.
	s, err := r.listening(program{noDelay, "Orthanc", []string{file}}, rest)
	if err != nil {
		return nil, err
	}
	s.port, s.addr = port, net.JoinHostPort(loopback, port)
	return &orthanc{s, "http://" + net.JoinHostPort(loopback, rest)}, nil
}

// call speaks to the REST interface.
func (o *orthanc) call(ctx context.Context, method, path string, out any) error {
	rq, err := http.NewRequestWithContext(ctx, method, o.url+path, nil)
	if err != nil {
		return err
	}
	rsp, err := (&http.Client{Timeout: runLimit}).Do(rq)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(rsp.Body)
	if err := errors.Join(err, rsp.Body.Close()); err != nil {
		return err
	}
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("Orthanc answered %s %s: %s", method, path, rsp.Status)
	}
	return json.NewDecoder(bytes.NewReader(text)).Decode(out)
}

// empty deletes all studies, and tells how many images they had.
func (o *orthanc) empty(ctx context.Context) (images int, err error) {
	var all struct {
		CountInstances int `json:"CountInstances"`
	}
	if err := o.call(ctx, http.MethodGet, "/statistics", &all); err != nil {
		return 0, err
	}
	var studies []string
	if err := o.call(ctx, http.MethodGet, "/studies", &studies); err != nil {
		return 0, err
	}
	for _, id := range studies {
		if err := o.call(ctx, http.MethodDelete, "/studies/"+id, &struct{}{}); err != nil {
			return 0, err
		}
	}
	return all.CountInstances, nil
}

// emptied has Orthanc be emptied after what stores a set there.
func (o *orthanc) emptied(in *room, s set, do side) side {
	return func() (sample, error) {
		r, err := do()
		if err != nil {
			return r, err
		}
		images, err := o.empty(in.ctx)
		if err == nil && images != s.images {
			err = fmt.Errorf("Orthanc has %d of %d images", images, s.images)
		}
		return r, err
	}
}

// aditServer is a running adit serve with its embedded PostgreSQL.
type aditServer struct {
	*server
	*client.Client

	url, token string
}

var readyLine = regexp.MustCompile(`is ready at (http://[0-9.]+:[0-9]+)`)

// serve starts adit serve. Its high-water mark is noted when the room is left.
func (b *bench) serve(r *room, name string) (*aditServer, error) {
	return b.serveReceiving(r, name, "")
}

// serveReceiving is serve with a receiver that listens at an address.
func (b *bench) serveReceiving(r *room, name, receiver string) (*aditServer, error) {
	dir := filepath.Join(r.dir, "data")
	return b.serveIn(r, name, dir, dir, "--dicom-listen", receiver)
}

// serveIn starts adit serve in a data directory. The administrator's token is in that of the first member.
func (b *bench) serveIn(r *room, name, dir, first string, args ...string) (*aditServer, error) {
	p := program{nil, b.adit, append([]string{"serve", "--data-dir", dir, "--listen", loopback + ":0"}, args...)}
	if b.profile != "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p = program{nil, self, append([]string{profiledRole, filepath.Join(b.profile, name+".pprof")}, p.args...)}
	}
	s, err := r.start(p, func(s *server) bool { return readyLine.MatchString(s.said.String()) })
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error {
		most, err := highWater(s.pid)
		b.memory = max(b.memory, most)
		return err
	})
	token, err := os.ReadFile(filepath.Join(first, "admin.token"))
	if err != nil {
		return nil, err
	}
	a := &aditServer{
		server: s, url: readyLine.FindStringSubmatch(s.said.String())[1], token: strings.TrimSpace(string(token)),
	}
	a.Client, err = client.New(a.url, client.WithToken(a.token))
	return a, err
}

// add tells ADIT of a server.
func (a *aditServer) add(ctx context.Context, name, aeTitle string, s *server) error {
	port, err := strconv.Atoi(s.port)
	if err != nil {
		return err
	}
	_, err = a.Servers.Add(ctx, client.ServerSettings{
		Name: name, AETitle: aeTitle, Host: loopback, Port: port,
		Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
	})
	return err
}

// transfer moves the set's studies from "source" to "destination", and tells how long that took, from the making of the
// job to its end, and what ADIT and its PostgreSQL spent on it.
func (a *aditServer) transfer(ctx context.Context, s set) (sample, error) {
	studies := []client.NewStudy{{StudyInstanceUID: s.study}}
	for _, uid := range s.others {
		studies = append(studies, client.NewStudy{StudyInstanceUID: uid})
	}
	return a.transferAs(ctx, s, studies...)
}

// transferAs is transfer of the set's studies as they are named.
func (a *aditServer) transferAs(ctx context.Context, s set, studies ...client.NewStudy) (sample, error) {
	return a.job(ctx, s, "source", "destination", studies...)
}

// job is transferAs between other nodes.
func (a *aditServer) job(
	ctx context.Context, s set, source, destination string, studies ...client.NewStudy,
) (sample, error) {
	return a.jobOf(ctx, s, client.NewJob{Source: source, Destination: destination, Studies: studies})
}

// jobOf is transferAs of a job that is not quite like any other.
func (a *aditServer) jobOf(ctx context.Context, s set, j client.NewJob) (sample, error) {
	studies := j.Studies
	j.Kind = client.SelectiveTransfer
	before, err := spent(a.pid)
	if err != nil {
		return sample{}, err
	}
	job, err := a.Jobs.Create(ctx, j, "")
	if err != nil {
		return sample{}, err
	}
	tick := time.NewTicker(time.Second) // the times are the job's own, and each look costs CPU
	defer tick.Stop()
	for !client.Final(job.Status) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return sample{}, ctx.Err()
		}
		if job, err = a.Jobs.Get(ctx, job.ID); err != nil {
			return sample{}, err
		}
	}
	after, err := spent(a.pid)
	if err != nil {
		return sample{}, err
	}
	for task, err := range a.Tasks.List(ctx, job.ID, client.TaskFilter{}) {
		if err != nil || task.Status != client.Success || task.Delivered != s.images/len(studies) {
			return sample{}, errors.Join(err, fmt.Errorf(
				"the task is %s with %d of %d images: %s", task.Status,
				task.Delivered, s.images/len(studies), task.Message,
			))
		}
	}
	return sample{images: s.images, wall: job.EndedAt.Sub(job.CreatedAt), cpu: after - before}, nil
}

// profiled is adit with a CPU profile of its whole life.
func profiled(file string, args []string) int {
	f, err := os.Create(file)
	if err != nil {
		return exitCode(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return exitCode(err)
	}
	code := cli.Main(slices.Concat([]string{"adit"}, args))
	pprof.StopCPUProfile()
	return max(code, exitCode(f.Close()))
}

var receiverLine = regexp.MustCompile(`listens at port ([0-9]+)\n`)

// receiver starts our SCP as a process of its own.
func (r *room) receiver() (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s, err := r.start(
		program{nil, self, []string{receiverRole}},
		func(s *server) bool { return receiverLine.MatchString(s.said.String()) },
	)
	if err != nil {
		return nil, err
	}
	s.port = receiverLine.FindStringSubmatch(s.said.String())[1]
	s.addr = net.JoinHostPort(loopback, s.port)
	return s, nil
}

// receive is our SCP: it takes everything and keeps nothing, as storescp --ignore does.
func receive(ctx context.Context, out io.Writer) error {
	if runtime.GOMAXPROCS(0) == 2 { // as adit serve does
		runtime.GOMAXPROCS(1)
	}
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	srv := &dimse.Server{
		Choose: func(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
			return c.TransferSyntaxes[0], ul.ContextAccepted
		},
		Store: func(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
			if _, err := io.Copy(io.Discard, in.Data); err != nil {
				return dimse.StoreResponse{Status: dimse.ProcessingFailure}
			}
			return dimse.StoreResponse{Status: dimse.Success}
		},
	}
	fmt.Fprintf(out, "listens at port %d\n", l.Addr().(*net.TCPAddr).Port)
	return srv.Serve(ctx, l)
}
