"""Your data: one module per dataset, with two functions.

`load(path, columns) -> Loaded` reads raw files, joins them, makes the label and counts what it mended and dropped. It
may use pandas, imported inside. `derive(columns) -> columns` turns request columns into features with numpy alone;
training and serving call the same one.
"""
