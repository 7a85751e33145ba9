"""Your data: one module per dataset, with two functions.

`load(path, columns) -> Loaded` reads raw files, joins them, makes the label and counts the repaired and the dropped
rows. It may use pandas, imported inside the function. `derive(columns) -> columns` computes features from request
columns with numpy alone. Training and serving call the same `derive`.
"""
