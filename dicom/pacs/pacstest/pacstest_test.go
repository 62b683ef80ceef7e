// SPDX-License-Identifier: AGPL-3.0-or-later

package pacstest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/pacs/pacstest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	spec := phantom.StudySpec{Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 5, Rows: 32, Columns: 32}}}
	p := pacstest.Start(t, "-web")
	p.AddStudies(t, pacstest.Study{Seed: 4, Spec: spec})
	p.SetMisbehave(t, pacs.Misbehave{Get: pacs.GetFaults{SuccessAfter: 3}})

	a, err := dimse.Dial(ctx, dimse.Config{Addr: p.Addr, CallingAE: "TEST", CalledAE: "PACS", Contexts: []dimse.Context{
		{AbstractSyntax: dict.StudyRootQueryRetrieveInformationModelGet, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
		{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{dict.ExplicitVRLittleEndian}, SCP: true},
	}})
	require.NoError(t, err)
	defer a.Abort()
	p.Wait(ctx, t, "open", 1)
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, "STUDY")
	id.Set(dict.StudyInstanceUID, phantom.New(4, spec).StudyInstanceUID)
	n := 0
	r, err := a.Get(ctx, dimse.GetRequest{SOPClassUID: dict.StudyRootQueryRetrieveInformationModelGet, Identifier: id},
		func(context.Context, *dimse.Incoming) dimse.Status {
			n++
			return dimse.Success
		})
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
	require.Equal(t, 3, n)
	require.Len(t, p.Wait(ctx, t, "sent", 3).Sent, 3)
	require.Equal(t, 1, p.Log(t).Total)

	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, p.WebURL+"/studies", nil)
	require.NoError(t, err)
	rq.Close = true // no idle connection for goleak to find
	rsp, err := http.DefaultTransport.RoundTrip(rq)
	require.NoError(t, err)
	require.NoError(t, rsp.Body.Close())
	require.Equal(t, http.StatusOK, p.Wait(ctx, t, "requests", 1).Requests[0].Status)

	// Killed, it is gone at once: the association is lost.
	require.DirExists(t, fmt.Sprintf("/proc/%d", p.Pid()))
	p.Kill()
	require.Error(t, a.Release(ctx))
	_, err = os.Stat(fmt.Sprintf("/proc/%d/fd/0", p.Pid()))
	require.Error(t, err)
}
