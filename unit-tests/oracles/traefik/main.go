// Records what Traefik answers to questions about router rules and labels: `go run . > recordings.json`.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

func main() {
	log.Logger = zerolog.New(io.Discard)
	zerolog.DefaultContextLogger = &log.Logger
	folder, err := os.MkdirTemp("", "oracle")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	// One line for each answer, so that a difference is one line.
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	asked := requests()
	lines(out, "{\"requests\": [", asked)
	lines(out, "], \"rules\": [", answers(asked))
	lines(out, "], \"labels\": [", readings(folder))
	fmt.Fprintln(out, "]}")
}

func lines[T any](out io.Writer, before string, values []T) {
	fmt.Fprintln(out, before)
	encoder := json.NewEncoder(noBreak{out})
	encoder.SetEscapeHTML(false)
	for number, value := range values {
		if err := encoder.Encode(value); err != nil {
			panic(err)
		}
		if number+1 < len(values) {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintln(out)
	}
}

// noBreak leaves out the line end after each value.
type noBreak struct{ io.Writer }

func (w noBreak) Write(text []byte) (int, error) {
	if len(text) > 0 && text[len(text)-1] == '\n' {
		n, err := w.Writer.Write(text[:len(text)-1])
		return n + 1, err
	}
	return w.Writer.Write(text)
}
