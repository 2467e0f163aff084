// Screenshots takes pictures of the HTML part of replies, as a phone and a desk show them, in the light and in
// the dark scheme, so that a person can look at them. It also fails where a page is wider than its window.
//
// The pages are the golden files of reply/compose. It needs Chromium (Debian: apt-get install chromium) and no
// network:
//
//	cd tools && go run ./screenshots /tmp/pictures [PAGE...]
//
// A PAGE is a golden file's name without .html; without any it is those of the four replies that matter most.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var (
	usual   = []string{"all-well", "founding-story", "dkim-body-changed", "dns-outage"}
	widths  = []int64{360, 1200}
	schemes = []string{"light", "dark"}
)

const goldens = "../reply/compose/testdata"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER [PAGE...]")
		os.Exit(2)
	}
	pages := os.Args[2:]
	if len(pages) == 0 {
		pages = usual
	}
	if err := run(os.Args[1], pages); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(folder string, pages []string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// In a container Chromium runs as root, where its sandbox does not.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		return fmt.Errorf("starting Chromium (Debian: apt-get install chromium): %w", err)
	}
	ctx, cancel = context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("the pictures took more than 5 minutes"))
	defer cancel()
	var faults []error
	for _, name := range pages {
		for _, width := range widths {
			for _, scheme := range schemes {
				file := filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
				if err := picture(ctx, name, file, width, scheme); err != nil {
					faults = append(faults, fmt.Errorf("%s at %d px, %s: %w", name, width, scheme, err))
				}
			}
		}
	}
	return errors.Join(faults...)
}

// picture takes the whole page, however long it is.
func picture(ctx context.Context, name, file string, width int64, scheme string) error {
	golden, err := filepath.Abs(filepath.Join(goldens, name+".html"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(golden); err != nil {
		return err
	}
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, dark); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate("file://"+golden)); err != nil {
		return err
	}
	scroll, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	if err != nil {
		return err
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		return err
	}
	if scroll > width {
		return fmt.Errorf("the page is %d px wide and scrolls sideways", scroll)
	}
	return nil
}
