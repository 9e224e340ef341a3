CREATE TABLE about (
	name VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE lease (
	sync VARCHAR NOT NULL,
	epoch INTEGER NOT NULL,
	holder VARCHAR,
	until FLOAT NOT NULL,
	PRIMARY KEY (sync)
);
CREATE TABLE opened (
	sync VARCHAR NOT NULL,
	outbox INTEGER NOT NULL,
	mark INTEGER NOT NULL,
	PRIMARY KEY (sync)
);
CREATE TABLE refusal (
	sync VARCHAR NOT NULL,
	key_hash VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	PRIMARY KEY (sync, key_hash)
);
CREATE TABLE run (
	id VARCHAR NOT NULL,
	sync VARCHAR NOT NULL,
	outbox INTEGER,
	fingerprint VARCHAR NOT NULL,
	started FLOAT NOT NULL,
	ended FLOAT,
	result VARCHAR,
	note TEXT,
	listed INTEGER DEFAULT '0' NOT NULL,
	added INTEGER DEFAULT '0' NOT NULL,
	updated INTEGER DEFAULT '0' NOT NULL,
	removed INTEGER DEFAULT '0' NOT NULL,
	refused INTEGER DEFAULT '0' NOT NULL,
	set_aside INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE verdict (
	sync VARCHAR NOT NULL,
	outbox INTEGER NOT NULL,
	lo INTEGER NOT NULL,
	hi INTEGER NOT NULL,
	verdict VARCHAR NOT NULL,
	PRIMARY KEY (sync, outbox, lo)
);
CREATE INDEX ix_run_sync ON run (sync);
INSERT INTO about VALUES('version','1');
INSERT INTO about VALUES('id','the-id-of-old');
INSERT INTO lease VALUES('team.webhook', 7, NULL, 0.0);
INSERT INTO opened VALUES('team.webhook', 7, 40);
INSERT INTO verdict VALUES('team.webhook', 7, 0, 19, 'ok');
INSERT INTO refusal VALUES('team.webhook', 'k', 'no such person', 2);
INSERT INTO run VALUES('r1','team.webhook',7,'f',1.5,2.5,'delivered',NULL,20,20,0,0,0,0);
