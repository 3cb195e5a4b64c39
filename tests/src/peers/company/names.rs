//! What the people of the company are called and do.

pub(super) const GIVEN_NAMES: [&str; 41] = [
    "Anna", "Jürgen", "Zoë", "Mehmet", "Łukasz", "Brigitte", "Søren", "Priya", "Karl-Heinz", "Aoife", "Björn", "Chloé",
    "David", "Elif", "Frank", "Greta", "Håkon", "Ines", "Jan", "Käthe", "Lars", "Marie-Claire", "Nikolai", "Olga",
    "Pedro", "Quentin", "Renée", "Sven", "Thị", "Uwe", "Vera", "Wolfgang", "Xenia", "Yusuf", "Žofie", "Åsa", "Iñigo",
    "Dörte", "Emmanuel", "Fatma", "Günther",
];

pub(super) const FAMILY_NAMES: [&str; 47] = [
    "Müller", "Schmidt", "Yılmaz", "Nowak", "Jørgensen", "O'Brien", "García Márquez", "Groß", "Weiß", "Fernández",
    "Nguyễn", "Öztürk", "Schäfer", "Lindqvist", "Dvořák", "Rossi", "van der Berg", "Kowalska", "Çelik", "Becker",
    "Hoffmann", "Kühn", "Łuczak", "Martin", "Nakamura", "Petrović", "Quist", "Richter", "Šimek", "Thompson", "Ueda",
    "Vogel", "Wójcik", "Xu", "Zimmermann", "Åkesson", "Brandt", "Coenen", "D'Angelo", "Eriksson", "Fuchs", "Grünwald",
    "Haas", "Iyer", "Jäger", "Krüger", "Lefèvre",
];

pub(super) const DEPARTMENTS: [&str; 14] = [
    "Board", "Customer Service", "Engineering", "Finance", "Human Resources", "Information Technology", "Legal",
    "Logistics", "Marketing", "Production", "Purchasing", "Quality", "Research", "Sales",
];

pub(super) const TITLES: [&str; 7] =
    ["Specialist", "Assistant", "Head of Department", "Engineer", "Analyst", "Apprentice", "Consultant"];
