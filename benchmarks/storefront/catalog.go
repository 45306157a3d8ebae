package storefront

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// categories tell a product by a word of its description; the first that fits.
var categories = []struct{ category, words string }{
	{"christmas", "CHRISTMAS XMAS ADVENT REINDEER SANTA"},
	{"bags", "BAG BAGS SHOPPER TOTE PURSE"},
	{"lighting", "T-LIGHT T-LIGHTS CANDLE CANDLES LANTERN LIGHT LIGHTS LAMP CANDLESTICK"},
	{"kitchen", "CAKE CASES MUG BOWL PLATE CUP SAUCER TEA TEACUP TEAPOT JUG BEAKER JAR JARS TIN TINS CUTLERY BAKING APRON CUTTERS BOTTLE LUNCH SPOON TRAY MOULD MOULDS COFFEE EGG"},
	{"stationery", "CARD CARDS NOTEBOOK PEN PENCIL PENCILS WRAP STICKERS RIBBON RIBBONS TISSUES CHALKBOARD RULER PAPER BOOK DOILY DOILIES NAPKINS"},
	{"toys", "GAME DOLL TOY PLAYHOUSE BLOCK BLOCKS JIGSAW PUPPET SKIPPING SPACEBOY DOLLY CHILDRENS CHILDREN'S"},
	{"jewellery", "NECKLACE BRACELET EARRINGS RING CHARM BROOCH"},
	{"garden", "GARDEN PLANT POT PARASOL UMBRELLA BIRD WATERING HERB"},
	{"decoration", "HANGING HEART HEARTS SIGN FRAME BUNTING GARLAND CLOCK ORNAMENT DECORATION DECORATIONS WALL METAL CUSHION DOORMAT HOOK MIRROR"},
}

var categoryOf = func() map[string]int {
	m := map[string]int{}
	for i, c := range categories {
		for word := range strings.FieldsSeq(c.words) {
			m[word] = i
		}
	}
	return m
}()

// category returns where the shop would shelve a product. The file has none.
func category(description string) string {
	best := len(categories)
	for word := range strings.FieldsSeq(strings.ToUpper(description)) {
		if i, ok := categoryOf[word]; ok && i < best {
			best = i
		}
	}
	if best == len(categories) {
		return "home"
	}
	return categories[best].category
}

// proper restores what lower case takes away.
var proper = strings.NewReplacer("t-light", "T-light", "london", "London", "christmas", "Christmas", "paris", "Paris")

// productName makes a description, all capitals in the file, fit for a mail.
func productName(l Line) string {
	if l.Description == "" {
		return "Article " + l.Stock
	}
	if strings.ToUpper(l.Description) != l.Description {
		return l.Description
	}
	name := strings.ToLower(l.Description)
	name = proper.Replace(name)
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// homes tell country code and time zone of the file's countries; where a
// country has several zones, that of its largest city.
var homes = map[string]struct{ code, zone string }{
	"United Kingdom": {"GB", "Europe/London"}, "Channel Islands": {"GB", "Europe/London"},
	"Germany": {"DE", "Europe/Berlin"}, "France": {"FR", "Europe/Paris"}, "EIRE": {"IE", "Europe/Dublin"},
	"Spain": {"ES", "Europe/Madrid"}, "Netherlands": {"NL", "Europe/Amsterdam"}, "Belgium": {"BE", "Europe/Brussels"},
	"Switzerland": {"CH", "Europe/Zurich"}, "Portugal": {"PT", "Europe/Lisbon"}, "Australia": {"AU", "Australia/Sydney"},
	"Norway": {"NO", "Europe/Oslo"}, "Italy": {"IT", "Europe/Rome"}, "Finland": {"FI", "Europe/Helsinki"},
	"Cyprus": {"CY", "Asia/Nicosia"}, "Sweden": {"SE", "Europe/Stockholm"}, "Austria": {"AT", "Europe/Vienna"},
	"Denmark": {"DK", "Europe/Copenhagen"}, "Japan": {"JP", "Asia/Tokyo"}, "Poland": {"PL", "Europe/Warsaw"},
	"Israel": {"IL", "Asia/Jerusalem"}, "USA": {"US", "America/New_York"}, "Hong Kong": {"HK", "Asia/Hong_Kong"},
	"Singapore": {"SG", "Asia/Singapore"}, "Iceland": {"IS", "Atlantic/Reykjavik"}, "Canada": {"CA", "America/Toronto"},
	"Greece": {"GR", "Europe/Athens"}, "Malta": {"MT", "Europe/Malta"}, "United Arab Emirates": {"AE", "Asia/Dubai"},
	"RSA": {"ZA", "Africa/Johannesburg"}, "Lebanon": {"LB", "Asia/Beirut"}, "Lithuania": {"LT", "Europe/Vilnius"},
	"Brazil": {"BR", "America/Sao_Paulo"}, "Czech Republic": {"CZ", "Europe/Prague"}, "Bahrain": {"BH", "Asia/Bahrain"},
	"Saudi Arabia": {"SA", "Asia/Riyadh"},
}

var firstNames = strings.Fields(`Ada Alma Amir Anna Anouk Arthur Bea Ben Carla Chloe Clara Daan Dora Edith Elif Elsa Emil
Erik Esme Eva Felix Finn Freya George Grace Hana Hugo Ida Ines Iris Isaac Ivo Jack Jana Joel Jonas Judith Karl Lea Leo Lena
Lina Louis Luca Mads Maja Marie Mario Mila Mina Nadia Nils Noah Nora Olga Oscar Otto Paula Pia Rosa Ruth Samir Sara Sofia
Stella Theo Tilda Tom Uma Vera Viktor Wanda Will Yara Yusuf Zoe`)

var lastNames = strings.Fields(`Abel Adler Archer Baker Barnes Becker Bell Berg Blom Brook Carter Clarke Cole Costa Dale
Diaz Dunn Ellis Evans Faber Fields Fischer Ford Frost Garcia Gray Green Hale Hall Hansen Hart Hill Holm Hunt Jansen Keller
King Klein Lane Lind Lopez Marsh Martin Meyer Moore Moreau Nash Novak Olsen Page Park Perez Reed Ricci Rose Rossi Shaw
Silva Stone Swan Torres Vogel Wagner Walsh Webb Weiss West Wolf Wood York`)
