// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/adit-go/adit/dicom/ul"
)

// window lets several C-STOREs be under way at once: the asynchronous operations window (PS3.7 D.3.3.3). There is no
// goroutine of its own: of those who wait for a response one at a time receives, for all of them.
type window struct {
	slots chan struct{} // one for each operation that may be under way
	turn  chan struct{} // held by who receives
	err   error         // of receiving; whoever has the turn may touch it

	mu      sync.Mutex
	waiting map[uint16]chan *Command // by message ID
}

// newWindow is nil unless the peer has granted more than one operation. It never grants more than asked for, and 0
// stands for no limit.
func newWindow(proposed uint16, granted *ul.AsyncOperations) *window {
	if granted == nil || proposed < 2 || granted.Invoked == 1 {
		return nil
	}
	n := proposed
	if granted.Invoked != 0 {
		n = min(n, granted.Invoked)
	}
	return &window{slots: make(chan struct{}, n), turn: make(chan struct{}, 1), waiting: map[uint16]chan *Command{}}
}

// Window is how many C-STOREs may be under way at once, each by a call of Store from a goroutine of its own: 1 unless
// Config.AsyncOperations asked for more and the peer agreed.
func (a *Association) Window() int {
	if a.window == nil {
		return 1
	}
	return cap(a.window.slots)
}

// storeAsync is Store within the window.
func (a *Association) storeAsync(
	ctx context.Context, c *AcceptedContext, rq StoreRequest, data io.Reader,
) (StoreResponse, error) {
	end, err := a.begin(ctx)
	if err != nil {
		return StoreResponse{}, err
	}
	defer end()
	w := a.window
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-a.ul.Done():
		return StoreResponse{}, a.ul.Err()
	}
	id, answer := a.expectAnswer()
	defer w.forget(id)
	if err := a.send(c, rq.command(id), data); err != nil {
		return StoreResponse{}, err
	}
	return a.awaitAnswer(answer)
}

func (a *Association) expectAnswer() (uint16, <-chan *Command) {
	w := a.window
	w.mu.Lock()
	defer w.mu.Unlock()
	id := a.nextID()
	for w.waiting[id] != nil {
		id = a.nextID()
	}
	answer := make(chan *Command, 1)
	w.waiting[id] = answer
	return id, answer
}

func (w *window) forget(id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, id)
}

// awaitAnswer waits for a response that another goroutine receives, or takes its turn to receive.
func (a *Association) awaitAnswer(answer <-chan *Command) (StoreResponse, error) {
	w := a.window
	for {
		select {
		case rsp := <-answer:
			return storeResponse(rsp), nil
		case w.turn <- struct{}{}:
		}
		select {
		case rsp := <-answer: // came in the turn before
			<-w.turn
			return storeResponse(rsp), nil
		default:
		}
		if w.err == nil {
			w.err = a.receiveAnswer()
		}
		err := w.err
		<-w.turn
		if err != nil {
			return StoreResponse{}, err
		}
	}
}

// receiveAnswer receives one response and gives it to who waits for it.
func (a *Association) receiveAnswer() error {
	_, rsp, err := a.next()
	if err != nil {
		return err
	}
	w := a.window
	w.mu.Lock()
	answer := w.waiting[rsp.MessageIDRespondedTo]
	delete(w.waiting, rsp.MessageIDRespondedTo)
	w.mu.Unlock()
	if rsp.Field != CStoreRSP || answer == nil {
		return a.ul.AbortProvider(
			fmt.Sprintf("it sent %s for message %d, for which no answer is pending", rsp.Field, rsp.MessageIDRespondedTo),
		)
	}
	answer <- rsp
	return nil
}
