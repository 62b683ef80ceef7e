// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	nethttp "net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
	"github.com/adit-go/adit/people"
)

// wadoPrefixes are those of WADO-RS.
var wadoPrefixes = map[string]string{"plain": "/dicom-web/PACS", "original": "/api/dicom-web/PACS/wadors"}

// object is one that was retrieved.
type object struct {
	contentType string
	meta        stream.FileMeta
	header      *stream.DataSet
	sum         [sha256.Size]byte // of the data set
}

// wado retrieves objects, and asserts the status. Nothing of a refusal is an object.
func (s *site) wado(path string, status int, header ...string) (objects []object, got *nethttp.Response) {
	s.t.Helper()
	got = s.get(s.t.Context(), path, header...)
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, status, got.StatusCode, "%s: %.300s", path, body)
	if status != nethttp.StatusOK {
		return nil, got
	}
	t, err := media.Parse(got.Header.Get("Content-Type"))
	require.NoError(s.t, err)
	if t.Name == "application/dicom" {
		return []object{readObject(s.t, got.Header.Get("Content-Type"), bytes.NewReader(body))}, got
	}
	require.Equal(s.t, "multipart/related", t.Name)
	parts, err := multipart.NewReader(bytes.NewReader(body), t.Param("boundary"), multipart.Limits{})
	require.NoError(s.t, err)
	for {
		part, err := parts.Next()
		if errors.Is(err, io.EOF) {
			return objects, got
		}
		require.NoError(s.t, err)
		objects = append(objects, readObject(s.t, part.ContentType(), part))
	}
}

// get sends a request whose answer may be long.
func (s *site) get(ctx context.Context, path string, header ...string) *nethttp.Response {
	s.t.Helper()
	r, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, s.url+path, nethttp.NoBody)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Token "+s.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	got, err := nethttp.DefaultClient.Do(r)
	require.NoError(s.t, err)
	return got
}

func readObject(t *testing.T, contentType string, r io.Reader) object {
	t.Helper()
	meta, obj, err := stream.OpenFile(r, stream.Limits{})
	require.NoError(t, err)
	o := object{contentType: contentType, meta: meta}
	o.header, err = stream.ParseDataSet(bytes.Clone(obj.Header().Bytes()), meta.TransferSyntaxUID, stream.Limits{})
	require.NoError(t, err)
	sum := sha256.New()
	_, err = obj.WriteTo(sum)
	require.NoError(t, err)
	require.NoError(t, obj.Close())
	sum.Sum(o.sum[:0])
	return o
}

// uids lists those of objects.
func uids(objects []object) (list []string) {
	for _, o := range objects {
		list = append(list, o.meta.MediaStorageSOPInstanceUID)
	}
	return list
}

// TestWADO: the objects of a server that knows DIMSE alone come by WADO-RS as they are stored, byte by byte, under both
// prefixes.
func TestWADO(t *testing.T) {
	studies := phantom.DemoStudies()
	s, p := searchSite(t, studies)
	for _, study := range studies[:4] {
		sums := map[string][sha256.Size]byte{}
		for _, in := range study.Instances() {
			sums[in.SOPInstanceUID] = in.SHA256()
		}
		for name, at := range wadoPrefixes {
			t.Run(name, func(t *testing.T) {
				s.t = t
				path := at + "/studies/" + study.StudyInstanceUID
				objects, got := s.wado(path, 200)
				require.Len(t, objects, len(sums))
				require.Contains(t, got.Header.Get("Content-Type"), `multipart/related; type="application/dicom"; boundary=`)
				for _, o := range objects {
					require.Equal(t, sums[o.meta.MediaStorageSOPInstanceUID], o.sum)
					require.Equal(t, "application/dicom; transfer-syntax="+o.meta.TransferSyntaxUID, o.contentType)
				}
				one := study.Series[0]
				path += "/series/" + one.SeriesInstanceUID
				objects, _ = s.wado(path, 200)
				require.Len(t, objects, len(one.Instances))
				in := one.Instances[0]
				for _, accept := range []string{
					"", "*/*", `multipart/related; type="application/dicom"`, "application/dicom",
					"multipart/related; type=application/dicom; transfer-syntax=*",
				} {
					objects, _ = s.wado(path+"/instances/"+in.SOPInstanceUID, 200, "Accept", accept)
					require.Equal(t, []string{in.SOPInstanceUID}, uids(objects))
					require.Equal(t, in.SHA256(), objects[0].sum)
				}
			})
		}
	}
	s.t = t
	study := "/dicom-web/PACS/studies/" + studies[0].StudyInstanceUID
	series := study + "/series/" + studies[0].Series[0].SeriesInstanceUID
	s.wado(study, 406, "Accept", "application/dicom")
	s.wado(study, 406, "Accept", "text/html")
	s.wado(series+"/instances/1.2.3", 404)
	s.wado(study+"/series/1.2.3", 404)
	s.wado("/dicom-web/PACS/studies/1.2.3", 404)
	s.wado("/dicom-web/PACS/studies/1.x", 400)
	s.wado("/dicom-web/NOBODY/studies/1.2.3", 404)
	s.wado(study, 401, "Authorization", "Token nonsense")
	s.wado("/api/dicom-web/PACS/wadors/studies/1.2.3/nifti", 501)
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}

// TestWADOSyntaxes: objects are brought into a plain transfer syntax that is asked for, and refused where that can't
// be.
func TestWADOSyntaxes(t *testing.T) {
	studies := []*phantom.Study{phantom.New(901, phantom.StudySpec{
		Patient: phantom.Patient{ID: "SYNTAX-1", Name: "Syntax^One"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 2, Rows: 16, Columns: 16, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
			{Kind: phantom.SecondaryCapture, Rows: 16, Columns: 16, TransferSyntaxUID: dict.RLELossless},
		},
	})}
	s, _ := searchSite(t, studies)
	study := "/dicom-web/PACS/studies/" + studies[0].StudyInstanceUID
	plain, packed := study+"/series/"+studies[0].Series[0].SeriesInstanceUID,
		study+"/series/"+studies[0].Series[1].SeriesInstanceUID
	for _, c := range []struct {
		path, accept string
		status       int
		want         string
	}{
		{plain, "multipart/related; type=application/dicom", 200, dict.ImplicitVRLittleEndian},
		{plain, "multipart/related; type=application/dicom; transfer-syntax=" + dict.ExplicitVRLittleEndian, 200, dict.ExplicitVRLittleEndian},
		{packed, "multipart/related; type=application/dicom; transfer-syntax=" + dict.ExplicitVRLittleEndian, 406, ""},
		{packed, "multipart/related; type=application/dicom; transfer-syntax=" + dict.RLELossless, 200, dict.RLELossless},
		{packed, "multipart/related; type=application/dicom; transfer-syntax=" + dict.JPEGBaseline8Bit +
			", multipart/related; type=application/dicom; q=0.5", 200, dict.RLELossless},
	} {
		objects, _ := s.wado(c.path, c.status, "Accept", c.accept)
		for _, o := range objects {
			require.Equal(t, c.want, o.meta.TransferSyntaxUID)
		}
	}
}

// TestWADOMetadata: metadata is that of the objects, with addresses for bulk data.
func TestWADOMetadata(t *testing.T) {
	studies := phantom.DemoStudies()
	s, p := searchSite(t, studies)
	study := studies[0]
	for _, at := range wadoPrefixes {
		rows, _ := s.qido(at+"/studies/"+study.StudyInstanceUID+"/metadata", 200)
		require.Len(t, rows, len(study.Instances()))
		for _, row := range rows {
			require.NotEmpty(t, row.text(dict.SOPInstanceUID))
			require.NotEmpty(t, row.text(dict.AvailableTransferSyntaxUID))
		}
	}
	require.Len(t, p.Recorder().Log().Gets, len(study.Series), "a series is retrieved once, whatever is asked for")
}

// TestWADOPseudonym: under a pseudonym nothing tells who the patient is, a study has one UID however it is fetched, and
// who may not see identities gets it in no other way.
func TestWADOPseudonym(t *testing.T) {
	studies := phantom.DemoStudies()
	s, _ := searchSite(t, studies)
	study := studies[0]
	path := "/dicom-web/PACS/studies/" + study.StudyInstanceUID
	objects, _ := s.wado(path+"?pseudonym=P1&trial_protocol_id=T1&trial_protocol_name=Trial+One", 200)
	seen := map[string]bool{}
	for _, o := range objects {
		require.Equal(t, "P1", o.header.String(dict.PatientID))
		require.Equal(t, "P1", o.header.String(dict.PatientName))
		require.Equal(t, "T1", o.header.String(dict.ClinicalTrialProtocolID))
		seen[o.header.String(dict.StudyInstanceUID)] = true
	}
	for _, series := range study.Series {
		if series.Modality == "SR" {
			continue
		}
		objects, _ := s.wado(
			path+"/series/"+series.SeriesInstanceUID+"?pseudonym=P1&trial_protocol_id=T1&trial_protocol_name=Trial+One", 200,
		)
		for _, o := range objects {
			seen[o.header.String(dict.StudyInstanceUID)] = true
		}
	}
	require.Len(t, seen, 1)
	require.NotContains(t, seen, study.StudyInstanceUID)
	rows, got := s.qido(path+"/metadata?pseudonym=P1&trial_protocol_id=T1&trial_protocol_name=Trial+One", 200)
	require.NotEmpty(t, rows)
	require.NotContains(t, got.body, study.Spec.Patient.ID)
	require.NotContains(t, got.body, strings.Split(study.Spec.Patient.Name, "=")[0])
	for value, words := range map[string]string{
		"a%5Cb": "Contains invalid backslash character", "a%07b": "Contains invalid control characters.",
		"a*": "Contains invalid wildcard characters.",
	} {
		got := s.send("GET", "/api/dicom-web/PACS/wadors/studies/"+study.StudyInstanceUID+"?pseudonym="+value, "")
		require.Equal(t, 400, got.StatusCode)
		require.JSONEq(t, `{"pseudonym":["`+words+`"]}`, got.body)
	}
}

// TestWADOFaults: what a server or a project stands in the way of is told as that, and not as a fault of ADIT's.
func TestWADOFaults(t *testing.T) {
	studies := phantom.DemoStudies()
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: studies, Misbehave: pacs.Misbehave{Get: pacs.GetFaults{
		Refuse: []string{studies[0].Series[0].Instances[0].SOPInstanceUID},
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	for _, c := range []struct {
		path   string
		status int
		words  string
	}{
		{studies[0].StudyInstanceUID + "/series/" + studies[0].Series[0].SeriesInstanceUID + "/instances/" +
			studies[0].Series[0].Instances[0].SOPInstanceUID, 502, "nothing can be read of a series that is not whole"},
		{studies[2].StudyInstanceUID + "?pseudonym=P1", 200, ""},
		{studies[5].StudyInstanceUID + "?pseudonym=P1", 409, "belongs to another patient of this project"},
		{studies[2].StudyInstanceUID + "?pseudonym=P2", 409, "already has another pseudonym in this project"},
	} {
		got := s.send("GET", "/dicom-web/PACS/studies/"+c.path, "")
		require.Equal(t, c.status, got.StatusCode, "%s: %.300s", c.path, got.body)
		require.Contains(t, got.body, c.words)
		if c.status != 200 {
			require.NotContains(t, got.body, " --", "flags are the command line's")
			require.NotContains(t, got.body, "(--", "flags are the command line's")
		}
	}
}

// reads are the series of the rows of the audit log about what was read, row by row.
func (s *site) reads() (rows [][]string) {
	s.t.Helper()
	found, err := s.pool.Query(
		s.t.Context(), `SELECT detail::jsonb -> 'series' FROM audit WHERE action = 'server.read' ORDER BY id`,
	)
	require.NoError(s.t, err)
	defer found.Close()
	for found.Next() {
		var series []string
		require.NoError(s.t, found.Scan(&series))
		rows = append(rows, series)
	}
	require.NoError(s.t, found.Err())
	return rows
}

// TestWADOAudit: the audit log tells once of each series, whatever is asked for of it, by however many connections at
// once, and of none of which nothing goes out.
func TestWADOAudit(t *testing.T) {
	studies := phantom.DemoStudies()
	s, p := searchSite(t, studies)
	study := studies[0]
	at := "/dicom-web/PACS/studies/" + study.StudyInstanceUID
	first := study.Series[0]
	series := at + "/series/" + first.SeriesInstanceUID
	one := series + "/instances/" + first.Instances[0].SOPInstanceUID
	s.wado("/dicom-web/PACS/studies/"+studies[2].StudyInstanceUID+"?pseudonym=P1", 200)
	require.Len(t, s.reads(), 1)
	other := "/dicom-web/PACS/studies/" + studies[5].StudyInstanceUID
	for path, status := range map[string]int{
		other + "?pseudonym=P1": 409, other + "/metadata?pseudonym=P1": 409, at + "/series/1.2.3/metadata": 404,
		series + "/instances/1.2.3": 404, one + "/frames/99": 404, one + "/bulkdata/00420011": 404,
		one + "/thumbnail": 501, one + "?accept=image/jpeg": 406, one + "/frames/1?accept=image/gif": 406,
		series + "?accept=multipart/related%3Btype%3D%22application/dicom%22%3Btransfer-syntax%3D1.2.840.10008.1.2.4.50": 406,
	} {
		got := s.send("GET", path, "")
		require.Equal(t, status, got.StatusCode, "%s: %.200s", path, got.body)
	}
	p.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{Refuse: []string{studies[6].Instances()[0].SOPInstanceUID}}})
	require.Equal(t, 502, s.send("GET", "/dicom-web/PACS/studies/"+studies[6].StudyInstanceUID+"/series/"+
		studies[6].Series[0].SeriesInstanceUID+"/instances/"+studies[6].Instances()[0].SOPInstanceUID, "").StatusCode)
	p.SetMisbehave(pacs.Misbehave{})
	require.Len(t, s.reads(), 1)

	var all sync.WaitGroup
	for range 3 {
		for _, path := range []string{
			series, series + "/metadata", one, one + "/metadata", one + "/frames/1", one + "/bulkdata/7FE00010",
		} {
			all.Go(func() {
				if got := s.send("GET", path, ""); got.StatusCode != nethttp.StatusOK {
					t.Errorf("%s: %d", path, got.StatusCode)
				}
			})
		}
	}
	all.Wait()
	require.Equal(t, [][]string{{first.SeriesInstanceUID}}, s.reads()[1:])
	var rest []string
	for _, of := range study.Series[1:] {
		rest = append(rest, of.SeriesInstanceUID)
	}
	require.NotEmpty(t, rest)
	for range 2 {
		s.wado(at, 200)
		s.qido(at+"/metadata", 200)
		s.wado(at+"/series/"+rest[0], 200)
		require.Len(t, s.reads(), 3)
		require.ElementsMatch(t, rest, s.reads()[2])
	}
}

// TestWADOClientLeaves: a client that leaves ends the retrieve at the PACS.
func TestWADOClientLeaves(t *testing.T) {
	reached, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p, err := pacs.Start(pacs.Config{
		AETitle: "PACS", Studies: phantom.DemoStudies(), Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind != pacs.AtSubOperation || e.Number != 2 {
				return
			}
			once.Do(func() {
				close(reached)
				select {
				case <-e.Canceled:
				case <-ctx.Done():
				}
				close(ended)
			})
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	ctx, leave := context.WithCancel(t.Context())
	got := s.get(ctx, "/dicom-web/PACS/studies/"+phantom.DemoStudies()[0].StudyInstanceUID)
	<-reached
	leave()
	_ = got.Body.Close()
	select {
	case <-ended:
	case <-t.Context().Done():
	}
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}

// TestWADOFrames: frames and bulk data are the bytes of the object, under the media types that clients ask for.
func TestWADOFrames(t *testing.T) {
	study := phantom.New(902, phantom.StudySpec{
		Patient: phantom.Patient{ID: "FRAMES-1", Name: "Frames^One"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16},
			{Kind: phantom.Ultrasound, Rows: 16, Columns: 16, Frames: 3, TransferSyntaxUID: dict.RLELossless},
		},
	})
	s, p := searchSite(t, []*phantom.Study{study})
	pixels := func(in *phantom.Instance) []byte {
		data := in.Open()
		defer func() { _ = data.Close() }()
		all, err := io.ReadAll(data)
		require.NoError(t, err)
		ds, err := stream.ParseDataSet(all, in.TransferSyntaxUID, stream.Limits{})
		require.NoError(t, err)
		e, ok := ds.Get(dict.PixelData)
		require.True(t, ok)
		return e.Value
	}
	plain, packed := study.Series[0].Instances[0], study.Series[1].Instances[0]
	at := func(in *phantom.Instance) string {
		return "/dicom-web/PACS/studies/" + study.StudyInstanceUID + "/series/" + in.Series().SeriesInstanceUID +
			"/instances/" + in.SOPInstanceUID
	}
	const anySyntax = `multipart/related; type="application/octet-stream"; transfer-syntax="*"`
	for _, c := range []struct {
		path, accept string
		status       int
		kind         string // of the parts
		parts        int
	}{
		{at(plain) + "/frames/1", anySyntax, 200, "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1", 1},
		{at(plain) + "/frames/1", `multipart/related; type=application/octet-stream; transfer-syntax=*`, 200, "", 1},
		{at(plain) + "/frames/1", `multipart/related; type="*/*"`, 200, "", 1},
		{at(plain) + "/frames/1", "*/*", 200, "", 1},
		{at(plain) + "/frames/1", "", 200, "", 1},
		{at(plain) + "/frames/1", "application/octet-stream", 200, "", 0},
		{at(plain) + "/frames/1", `multipart/related; type="image/jls"; transfer-syntax="1.2.840.10008.1.2.4.80"`, 406, "", 0},
		{at(plain) + "/frames/1?accept=" + "image%2Fjpeg", anySyntax, 406, "", 0},
		{at(plain) + "/frames/2", anySyntax, 404, "", 0},
		{at(plain) + "/frames/0", anySyntax, 400, "", 0},
		{at(packed) + "/frames/3,1", anySyntax, 200, "image/dicom-rle;transfer-syntax=1.2.840.10008.1.2.5", 2},
		{at(packed) + "/frames/1", `multipart/related; type="image/dicom-rle"`, 200, "", 1},
		{at(packed) + "/frames/1", `multipart/related; type="application/octet-stream"`, 406, "", 0},
		{at(packed) + "/frames/1,2", "image/dicom-rle", 406, "", 0},
		{at(plain) + "/bulkdata/7FE00010", "*/*", 200, "", 0},
		{at(plain) + "/bulkdata/7FE00010", `multipart/related; type="application/octet-stream"`, 200, "", 1},
		{at(plain) + "/bulkdata/00081030", "*/*", 200, "", 0},
		{at(plain) + "/bulkdata/00990099", "*/*", 404, "", 0},
		{at(plain) + "/bulkdata/nonsense", "*/*", 404, "", 0},
	} {
		got := s.get(t.Context(), c.path, "Accept", c.accept)
		body, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		_ = got.Body.Close()
		require.Equal(t, c.status, got.StatusCode, "%s %s: %.200q", c.path, c.accept, body)
		if c.status != 200 {
			continue
		}
		if c.parts == 0 {
			if !strings.HasSuffix(c.path, "00081030") {
				require.Equal(t, pixels(plain), body)
			}
			continue
		}
		kind, err := media.Parse(got.Header.Get("Content-Type"))
		require.NoError(t, err)
		parts, err := multipart.NewReader(bytes.NewReader(body), kind.Param("boundary"), multipart.Limits{})
		require.NoError(t, err)
		for range c.parts {
			part, err := parts.Next()
			require.NoError(t, err)
			if c.kind != "" {
				require.Equal(t, c.kind, part.ContentType())
			}
			frame, err := io.ReadAll(part)
			require.NoError(t, err)
			if strings.HasPrefix(c.path, at(plain)) {
				require.Equal(t, pixels(plain), frame)
			} else {
				require.Contains(t, string(pixels(packed)), string(frame))
				require.NotEmpty(t, frame)
			}
		}
		_, err = parts.Next()
		require.ErrorIs(t, err, io.EOF)
	}
	require.Len(t, p.Recorder().Log().Gets, 2, "a series is retrieved once, whatever a viewer asks for")

	// Under a pseudonym the same bytes come.
	got := s.get(t.Context(), at(plain)+"/frames/1?pseudonym=P1", "Accept", "application/octet-stream")
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	_ = got.Body.Close()
	require.Equal(t, pixels(plain), body)
}

// TestWADOWhole: nothing that is not whole is given as the whole, whatever a server says; what it refuses one way is
// asked for another way; and what lies in an archive is not brought back to be looked at.
func TestWADOWhole(t *testing.T) {
	study := phantom.New(903, phantom.StudySpec{
		Patient: phantom.Patient{ID: "WHOLE-1", Name: "Whole^One"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 8, Rows: 64, Columns: 64}},
	})
	list := study.Instances()
	elsewhere := map[string]map[dict.Tag]string{list[3].SOPInstanceUID: {dict.StudyInstanceUID: "1.2.3"}}
	both := client.Supports{StudyRootFind: true, StudyRootGet: true, QIDO: true, WADO: true}
	dimse, web := client.Supports{StudyRootFind: true, StudyRootGet: true}, client.Supports{QIDO: true, WADO: true}
	for name, c := range map[string]struct {
		supports client.Supports
		faults   pacs.Misbehave
		status   int  // of the answer
		broken   bool // it breaks off
		gets     int  // C-GETs
	}{
		"C-GET":                                   {supports: dimse, status: 200, gets: 1},
		"WADO-RS":                                 {supports: web, status: 200},
		"WADO-RS is away":                         {supports: both, faults: pacs.Misbehave{Web: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Status: 501}}}}, status: 200, gets: 1},
		"Success after five of eight, then all":   {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{First: 1, SuccessAfter: 5}}, status: 200, gets: 2},
		"Success after five of eight, each time":  {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{Refuse: []string{list[7].SOPInstanceUID}}}, broken: true, status: 200, gets: 3},
		"success, 0 of 0":                         {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{Empty: true}}, status: 502},
		"the connection is lost in an object":     {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: 4, DropAfterBytes: 900}}, broken: true, status: 200},
		"the connection is lost before the first": {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: 1}}, status: 502},
		"an object inside of another study":       {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{Inside: elsewhere}}, broken: true, status: 200},
		"every object twice":                      {supports: dimse, faults: pacs.Misbehave{Get: pacs.GetFaults{TwiceAll: true}}, status: 200, gets: 1},
		"the list lacks one":                      {supports: dimse, faults: pacs.Misbehave{Find: pacs.FindFaults{Unlisted: []string{list[2].SOPInstanceUID}}}, status: 200, gets: 1},
		"no IMAGE level":                          {supports: dimse, faults: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}}, status: 200, gets: 1},
		"nearline":                                {supports: dimse, faults: pacs.Misbehave{Archive: pacs.ArchiveFaults{Availability: "NEARLINE"}}, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pacs.Start(pacs.Config{
				AETitle: "PACS", Studies: []*phantom.Study{study}, Web: &pacs.WebConfig{}, Misbehave: c.faults,
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, p.Close()) })
			s := newSite(t)
			s.addServer("PACS", "PACS", func(set *client.ServerSettings) {
				set.Host, set.Port, set.Supports = "127.0.0.1", p.Port(), c.supports
				if c.supports.WADO {
					set.DICOMweb.RootURL = p.WebURL()
				}
			})
			got := s.get(t.Context(), "/dicom-web/PACS/studies/"+study.StudyInstanceUID)
			body, err := io.ReadAll(got.Body)
			_ = got.Body.Close()
			require.Equal(t, c.status, got.StatusCode, "%.300s", body)
			if c.broken {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			if c.status != 200 {
				require.NotContains(t, string(body), study.Spec.Patient.ID)
				return
			}
			require.Equal(t, len(list), strings.Count(string(body), "Content-Type: application/dicom;"))
			if c.gets > 0 {
				require.Len(t, p.Recorder().Log().Gets, c.gets)
			}
		})
	}
	p, err := pacs.Start(pacs.Config{
		AETitle: "PACS", Studies: []*phantom.Study{study},
		Misbehave: pacs.Misbehave{Archive: pacs.ArchiveFaults{Availability: "NEARLINE"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	at := "/dicom-web/PACS/studies/" + study.StudyInstanceUID
	series := at + "/series/" + study.Series[0].SeriesInstanceUID
	for _, path := range []string{
		at + "/metadata", series + "/metadata", series + "/instances/" + list[0].SOPInstanceUID + "/frames/1",
	} {
		require.Equal(t, 409, s.send("GET", path, "").StatusCode, path)
	}
	require.Empty(t, p.Recorder().Log().Gets, "nothing is brought back from the archive to be looked at")
}

// TestWADORightLost: what is there already is given to nobody who has lost the right to it, at the very next request;
// and who may only see pseudonyms gets no original.
func TestWADORightLost(t *testing.T) {
	study := phantom.DemoStudies()[0]
	s, p := searchSite(t, []*phantom.Study{study})
	server, err := s.client.Servers.Get(t.Context(), "PACS")
	require.NoError(t, err)
	at := "/dicom-web/PACS/studies/" + study.StudyInstanceUID
	in := study.Series[0].Instances[0]
	one := at + "/series/" + study.Series[0].SeriesInstanceUID + "/instances/" + in.SOPInstanceUID
	paths := []string{at, at + "/metadata", one, one + "/metadata", one + "/frames/1", one + "/bulkdata/7FE00010"}
	token := s.reader("reader", server.ID, people.DICOMwebRetrieve, people.TransferUnpseudonymized)
	each := func(query string, status int) {
		t.Helper()
		for _, path := range paths {
			got := s.get(t.Context(), path+query, "Authorization", "Token "+token)
			body, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			_ = got.Body.Close()
			require.Equal(t, status, got.StatusCode, path+query)
			if status != 200 || query != "" {
				require.NotContains(t, string(body), study.Spec.Patient.ID, path)
			}
		}
	}
	_, err = s.client.Projects.Add(t.Context(), client.NewProject{Name: "reading", Group: "reader"})
	require.NoError(t, err)
	each("", 200)
	gets := len(p.Recorder().Log().Gets)
	permit := func(permissions ...string) {
		t.Helper()
		_, err := s.client.Groups.Change(
			t.Context(), "reader", client.GroupChange{Permissions: new(append([]string{}, permissions...))},
		)
		require.NoError(t, err)
	}
	permit(people.DICOMwebRetrieve)
	each("", 403)
	each("?pseudonym=P7&project=reading", 200)
	permit()
	each("?pseudonym=P7&project=reading", 403)
	permit(people.DICOMwebRetrieve, people.TransferUnpseudonymized)
	_, err = s.client.Groups.SetAccess(t.Context(), client.Access{Group: "reader", Node: "PACS"})
	require.NoError(t, err)
	each("", 404)
	require.Len(t, p.Recorder().Log().Gets, gets, "all of it was there")
}

// reader makes somebody in a group of their own with these permissions, which may read from a server, and gives their
// token.
func (s *site) reader(name string, server int64, permissions ...string) (token string) {
	s.t.Helper()
	token = s.member(name, server, permissions...)
	_, err := s.client.Groups.SetAccess(s.t.Context(), client.Access{Group: name, Node: "PACS", Source: true})
	require.NoError(s.t, err)
	return token
}

// TestWADOCrowd: many clients at once on one study cost one retrieve of each series; those among them that take nothing
// slow nobody, and get all of it in the end.
func TestWADOCrowd(t *testing.T) {
	study := phantom.New(904, phantom.StudySpec{
		Patient: phantom.Patient{ID: "CROWD-1", Name: "Crowd^One"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 40, Rows: 256, Columns: 256}, {Kind: phantom.CT, Instances: 40, Rows: 256, Columns: 256},
		},
	})
	s, p := searchSite(t, []*phantom.Study{study})
	const clients, slow = 200, 20
	want := 2 * 40
	count := func(got *nethttp.Response) int {
		defer func() { _ = got.Body.Close() }()
		kind, err := media.Parse(got.Header.Get("Content-Type"))
		if err != nil {
			return 0
		}
		parts, err := multipart.NewReader(got.Body, kind.Param("boundary"), multipart.Limits{})
		if err != nil {
			return 0
		}
		for n := 0; ; n++ {
			if _, err := parts.Next(); err != nil {
				if errors.Is(err, io.EOF) {
					return n
				}
				return -1
			}
		}
	}
	transport := &nethttp.Transport{DisableKeepAlives: true}
	all := &nethttp.Client{Transport: transport, Timeout: 10 * deadline}
	open := func() (*nethttp.Response, error) {
		rq, err := nethttp.NewRequestWithContext(
			t.Context(), nethttp.MethodGet, s.url+"/dicom-web/PACS/studies/"+study.StudyInstanceUID, nethttp.NoBody,
		)
		if err != nil {
			return nil, err
		}
		rq.Header.Set("Authorization", "Token "+s.token)
		return all.Do(rq)
	}
	waiting := make([]*nethttp.Response, slow)
	var begun sync.WaitGroup
	for i := range waiting {
		begun.Go(func() {
			var err error
			if waiting[i], err = open(); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	var fast sync.WaitGroup
	for range clients - slow {
		fast.Go(func() {
			got, err := open()
			if err != nil {
				t.Error(err)
				return
			}
			if n := count(got); n != want {
				t.Errorf("%d objects", n)
			}
		})
	}
	fast.Wait()
	for _, got := range waiting {
		require.Equal(t, want, count(got))
	}
	require.Len(t, p.Recorder().Log().Gets, 2)
}
