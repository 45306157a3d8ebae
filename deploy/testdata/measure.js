// What a person would stumble over in the page as it is shown now.
(() => {
	const faults = [], root = document.documentElement;
	if (root.scrollWidth > innerWidth) {
		const wide = [...document.querySelectorAll("td, p, a, img")].filter((e) => e.getBoundingClientRect().right > innerWidth).pop();
		faults.push(`got ${root.scrollWidth} px of width in a window of ${innerWidth}; out of it: ${wide && (wide.innerText || wide.outerHTML)}`);
	}

	// WCAG 2.2: relative luminance, and 4.5:1 for text of any size.
	const rgba = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const back = (e) => {
		for (; e; e = e.parentElement) {
			const color = rgba(getComputedStyle(e).backgroundColor);
			if (color.length === 3 || color[3] === 1) return color;
		}
		return null;
	};
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let read = 0;
	for (let text; (text = texts.nextNode());) {
		const e = text.parentElement, words = text.data.trim();
		if (!words || !e.checkVisibility()) continue;
		read++;
		const ground = back(e);
		if (!ground) {
			faults.push(`"${words}" has no background of its own`);
			continue;
		}
		const [dark, light] = [luminance(rgba(getComputedStyle(e).color)), luminance(ground)].sort((a, b) => a - b);
		const contrast = (light + 0.05) / (dark + 0.05);
		if (contrast < 4.5) faults.push(`"${words}" has a contrast of ${contrast.toFixed(2)}, want 4.5 or more`);
	}
	if (read < 10) faults.push(`got ${read} texts, want 10 or more`);

	const buttons = [...document.querySelectorAll(".button a")].map((a) => a.getBoundingClientRect().height);
	if (buttons.length !== 1 || buttons[0] < 44) faults.push(`buttons are ${buttons} px high, want one of 44 or more: a thumb's width`);

	// A picture keeps its place while it is not there.
	for (const i of document.images) {
		const { width, height } = i.getBoundingClientRect();
		if (width < 1 || height < 1) faults.push(`picture ${i.src} is ${width} by ${height}`);
	}
	return { height: root.scrollHeight, images: [...document.images].map((i) => i.src), faults };
})();
