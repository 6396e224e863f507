DROP TABLE sti_drop_event;
