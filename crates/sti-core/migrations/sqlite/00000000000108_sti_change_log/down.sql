DROP TABLE sti_change_log;
DROP TABLE sti_drop_run;
