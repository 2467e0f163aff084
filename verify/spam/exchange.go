package spam

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// exchange sends one command and reads its answer.
func (e Evaluator) exchange(ctx context.Context, q Query) (answer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, e.network(), e.Address)
	if err != nil {
		return answer{}, &dialError{err}
	}
	defer conn.Close()
	// Whatever ends the context ends reading and writing too.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := send(conn, q)
	// A daemon that refuses may close before it has read all: what it said is worth more than how
	// writing failed.
	a, err := readAnswer(conn)
	if err != nil && sent != nil {
		return answer{}, fmt.Errorf("%w: %w", err, sent)
	}
	return a, err
}

// send writes the command. The daemon reads as many octets as are announced.
func send(w net.Conn, q Query) error {
	size := int64(len(q.Trace)) + q.Message.Size
	if _, err := fmt.Fprintf(w, "REPORT SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s", size, q.Trace); err != nil {
		return err
	}
	if _, err := io.Copy(w, q.Message.Reader()); err != nil {
		return err
	}
	// Both *net.TCPConn and *net.UnixConn have it; older daemons wait for this end.
	if half, ok := w.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
