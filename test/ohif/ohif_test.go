// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

// Package ohif looks at studies with OHIF, a viewer in the browser, through the proxy for DICOMweb. It needs what make
// test/ohif fetches.
package ohif

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/test/process"
)

var pictures = flag.String("pictures", "", "FOLDER for pictures of what failed")

// viewer is the folder of OHIF's files, which scripts/setup ohif makes.
var viewer = func() string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(caches, "adit", "ohif-3.13.2")
}()

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// config is what OHIF is told. docs/dicomweb.md says the same.
const config = `window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 1,
  showCPUFallbackMessage: false, investigationalUseDialog: { option: 'never' }, defaultDataSourceName: 'adit',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'adit',
    configuration: {
      friendlyName: 'ADIT', name: 'adit',
      qidoRoot: '/dicom-web/PACS', wadoRoot: '/dicom-web/PACS', qidoSupportsIncludeField: true,
      imageRendering: 'wadors', thumbnailRendering: 'thumbnail', enableStudyLazyLoad: true,
      supportsFuzzyMatching: false, supportsWildcard: true, singlepart: 'bulkdata,pdf,video',
      bulkDataURI: { enabled: true },
    },
  }],
}
`

// TestOHIF: a person who is logged in finds a study in OHIF's list, opens it, and sees its images.
func TestOHIF(t *testing.T) {
	if _, err := os.Stat(viewer); err != nil {
		t.Skip("OHIF is not here; make test/ohif fetches and runs it")
	}
	const password = "seventeen slow lanterns"
	study := phantom.New(9400, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha", BirthDate: "19500101", Sex: "F"},
		Date:    "20240108", Description: "CT abdomen", Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 6, Rows: 256, Columns: 256}, {Kind: phantom.MR, Instances: 4, Rows: 128, Columns: 128},
		},
	})
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{study}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })

	var adit *url.URL
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(adit) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/dicom-web/"), strings.HasPrefix(r.URL.Path, "/api/"):
			proxy.ServeHTTP(w, r)
		case r.URL.Path == "/app-config.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(config))
		default:
			serveViewer(w, r)
		}
	}))
	t.Cleanup(front.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	s := process.Serve(
		t, filepath.Join(t.TempDir(), "data"), "--database-url", dbtest.URL(t), "--cors-origins", front.URL,
	)
	adit, err = url.Parse(s.URL)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password), 0o600))
	t.Setenv("ADIT_OWN_PASSWORD_FILE", file)
	for _, args := range [][]string{
		{"user", "password", "admin", "--keep-tokens", "--password-file", file},
		{
			"node", "add", "server", "PACS", "--ae-title", "PACS", "--host", "127.0.0.1", "--port", strconv.Itoa(p.Port()),
			"--supports", "find,get",
		},
	} {
		out, code := s.Adit(args...)
		require.Zero(t, code, out)
	}
	first := study.Series[0]
	do, err := json.Marshal(map[string]any{
		"url": front.URL, "adit": s.URL, "other": other.URL, "password": password, "study": study.StudyInstanceUID,
		"patient": "Phantom", "series": len(study.Series), "pictures": *pictures,
		"shape": 1, // of the ring of bone, width by height
		"frame": "/dicom-web/PACS/studies/" + study.StudyInstanceUID + "/series/" + first.SeriesInstanceUID + "/instances/" +
			first.Instances[0].SOPInstanceUID + "/frames/1",
	})
	require.NoError(t, err)
	packages, err := filepath.Abs("../../ui/node_modules")
	require.NoError(t, err)
	node := exec.CommandContext(t.Context(), "node", "ohif.mjs", packages)
	node.Stdin = bytes.NewReader(do)
	out, err := node.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// serveViewer serves OHIF's files, and its first page at every address of its own.
func serveViewer(w http.ResponseWriter, r *http.Request) {
	file := filepath.Join(viewer, filepath.FromSlash(filepath.Clean("/"+r.URL.Path)))
	if i, err := os.Stat(file); err != nil || i.IsDir() {
		file = filepath.Join(viewer, "index.html")
	}
	http.ServeFile(w, r, file)
}
